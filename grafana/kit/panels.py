"""Panels: each kind with the looks that it has on every dashboard."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    logs,
    nodegraph,
    stat,
    statetimeline,
    table,
    text,
    timeseries,
)
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, Panel
from grafana_foundation_sdk.models.text import TextMode

from grafana.kit.queries import Targets, logql
from grafana.kit.sources import JAEGER, LOKI, ORDERS, PROMETHEUS

AnyPanel = cog.Builder[Panel]
Links = Mapping[str, str]
"""What a click on a value opens: a title, and an address within Grafana."""


def graph(
    title: str,
    targets: Targets,
    *,
    unit: str,
    width: int,
    about: str,
    stacked: bool = False,
    links: Links | None = None,
    without: str = "",
) -> timeseries.Panel:
    """Lines over time, with the newest and the highest value of each beside its name.

    `without` is what stands there where there can be no data.
    """
    legend = (
        common.VizLegendOptions()
        .display_mode(looks.LegendDisplayMode.TABLE)
        .placement(looks.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "max"])
    )
    tooltip = (
        common.VizTooltipOptions()
        .mode(looks.TooltipDisplayMode.MULTI)
        .sort(looks.SortOrder.DESCENDING)
    )
    panel = timeseries.Panel().title(title).description(about).unit(unit).min(0)
    panel.datasource(PROMETHEUS).targets(targets).span(width).height(8)
    panel.legend(legend).tooltip(tooltip).show_points(looks.VisibilityMode.NEVER)
    panel.fill_opacity(40 if stacked else 8).line_width(1)
    if stacked:
        panel.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL))
    if links:
        panel.override_by_field_type("number", [_opens(links)])
    if without:
        panel.no_value(without)
    return panel


def number(
    title: str,
    targets: Targets,
    *,
    unit: str,
    width: int,
    about: str,
    links: Links | None = None,
) -> stat.Panel:
    """One figure, the newest, over a shadow of what it was before."""
    newest = common.ReduceDataOptions().calcs(["lastNotNull"])
    panel = stat.Panel().title(title).description(about).unit(unit).datasource(PROMETHEUS)
    panel.targets(targets).span(width).height(4).reduce_options(newest)
    if links:
        panel.override_by_field_type("number", [_opens(links)])
    return panel.graph_mode(looks.BigValueGraphMode.AREA).no_value("none")


def figure(title: str, targets: Targets, *, unit: str, width: int, about: str) -> stat.Panel:
    """Figures out of the database, each row one, by its name."""
    every = common.ReduceDataOptions().values(True)
    panel = stat.Panel().title(title).description(about).unit(unit).datasource(ORDERS)
    panel.targets(targets).span(width).height(4).reduce_options(every)
    return panel.graph_mode(looks.BigValueGraphMode.NONE).no_value("none")


def states(title: str, targets: Targets, *, width: int, about: str, height: int = 8) -> AnyPanel:
    """When something was the case: a bar for each series, for as long as it had a value."""
    panel = statetimeline.Panel().title(title).description(about).unit("short")
    panel.datasource(PROMETHEUS).targets(targets).span(width).height(height)
    return panel.show_value(looks.VisibilityMode.NEVER).merge_values(True)


def grid(
    title: str,
    targets: Targets,
    *,
    width: int,
    about: str,
    unit: str = "short",
    height: int = 8,
    links: Mapping[str, Links] | None = None,
    hidden: str = "",
) -> table.Panel:
    """A table; `links` by column. Columns that are `hidden` are there for links to name."""
    panel = table.Panel().title(title).description(about).unit(unit).span(width).height(height)
    panel.targets(targets).datasource(targets[0].build().to_json()["datasource"])  # type: ignore[attr-defined]
    for column, opens in (links or {}).items():
        panel.override_by_name(column, [_opens(opens)])
    for column in ("Time", *hidden.split()):
        panel.override_by_name(column, [DynamicConfigValue("custom.hidden", True)])
    return panel


def lines(title: str, expr: str, *, width: int, about: str, height: int = 12) -> logs.Panel:
    """Log lines, newest first."""
    panel = logs.Panel().title(title).description(about).datasource(LOKI).height(height)
    panel.span(width).targets(logql(expr)).show_time(True).enable_log_details(True)
    return panel.sort_order(looks.LogsSortOrder.DESCENDING).wrap_log_message(False)


def log_counts(title: str, expr: str, legend: str, *, width: int, about: str) -> timeseries.Panel:
    """Log lines counted over time, as stacked bars."""
    panel = graph(title, logql(expr, legend), unit="short", width=width, about=about, stacked=True)
    return panel.datasource(LOKI).draw_style(looks.GraphDrawStyle.BARS)


def over_time(
    title: str, targets: Targets, *, unit: str, width: int, about: str
) -> timeseries.Panel:
    """Numbers out of the database over time, as stacked bars."""
    panel = graph(title, targets, unit=unit, width=width, about=about, stacked=True)
    return panel.datasource(ORDERS).draw_style(looks.GraphDrawStyle.BARS)


def traces(title: str, search: Targets, *, width: int, about: str) -> table.Panel:
    """Traces, each with a link to its waterfall."""
    panel = table.Panel().title(title).description(about).datasource(JAEGER).height(12)
    panel.targets(search).span(width)
    return panel.override_by_name("Trace ID", [DynamicConfigValue("custom.width", 280)])


def waterfall(title: str, targets: Targets, *, width: int, about: str) -> AnyPanel:
    """One trace, span by span; the SDK has no class for this panel."""
    panel = dashboard.Panel().type("traces").title(title).description(about)
    return panel.datasource(JAEGER).targets(targets).span(width).height(18)


def node_graph(title: str, targets: Targets, *, width: int, about: str) -> nodegraph.Panel:
    """Who calls whom, drawn."""
    panel = nodegraph.Panel().title(title).description(about).datasource(JAEGER)
    return panel.targets(targets).span(width).height(14)


def words(title: str, content: str, *, width: int, height: int, about: str) -> text.Panel:
    """A page of Markdown."""
    panel = text.Panel().title(title).description(about).span(width).height(height)
    return panel.mode(TextMode.MARKDOWN).content(content)


def _opens(links: Links) -> DynamicConfigValue:
    return DynamicConfigValue(
        "links", [{"title": title, "url": url} for title, url in links.items()]
    )
