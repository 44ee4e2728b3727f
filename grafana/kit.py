"""The few kinds of query and panel that the dashboards are made of."""

from typing import Final

from grafana_foundation_sdk.builders import (
    common,
    logs,
    loki,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DynamicConfigValue, Panel

PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid="prometheus")
LOKI: Final = DataSourceRef(type_val="loki", uid="loki")
JAEGER: Final = DataSourceRef(type_val="jaeger", uid="jaeger")

AnyPanel = cog.Builder[Panel]
Targets = list[cog.Builder[Dataquery]]


class JaegerSearch(Dataquery, cog.Builder[Dataquery]):
    """A search for traces; the SDK knows no queries of Jaeger. `at_least` is like `100ms`."""

    def __init__(
        self, service: str, *, operation: str, at_least: str = "", limit: int = 20
    ) -> None:
        self._fields: dict[str, object] = {
            "refId": "A",
            "queryType": "search",
            "datasource": JAEGER,
            "service": service,
            "operation": operation,
            "minDuration": at_least,
            "limit": limit,
        }

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        return self._fields


def promql(expr: str, legend: str, *, ref: str = "A", exemplars: bool = False) -> Targets:
    """A query over the dashboard's time; `exemplars` are drawn as dots that open a trace."""
    query = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref).range()
    return [query.datasource(PROMETHEUS).exemplar(exemplars)]


def graph(
    title: str,
    targets: Targets,
    *,
    unit: str,
    width: int,
    about: str,
    stacked: bool = False,
) -> timeseries.Panel:
    """Lines over time, with the newest and the highest value of each beside its name."""
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
    return panel


def number(title: str, targets: Targets, *, unit: str, width: int, about: str) -> stat.Panel:
    """One figure, the newest, over a shadow of what it was before."""
    newest = common.ReduceDataOptions().calcs(["lastNotNull"])
    panel = stat.Panel().title(title).description(about).unit(unit).datasource(PROMETHEUS)
    panel.targets(targets).span(width).height(4).reduce_options(newest)
    return panel.graph_mode(looks.BigValueGraphMode.AREA).no_value("none")


def lines(title: str, expr: str, *, width: int, about: str) -> logs.Panel:
    """Log lines, newest first."""
    query = loki.Dataquery().expr(expr).ref_id("A").query_type("range").max_lines(200)
    panel = logs.Panel().title(title).description(about).datasource(LOKI).height(12).span(width)
    panel.with_target(query.datasource(LOKI)).show_time(True).enable_log_details(True)
    return panel.sort_order(looks.LogsSortOrder.DESCENDING).wrap_log_message(False)


def log_counts(title: str, expr: str, legend: str, *, width: int, about: str) -> timeseries.Panel:
    """Log lines counted over time, as stacked bars."""
    query = loki.Dataquery().expr(expr).legend_format(legend).ref_id("A").query_type("range")
    panel = graph(
        title, [query.datasource(LOKI)], unit="short", width=width, about=about, stacked=True
    )
    return panel.datasource(LOKI).draw_style(looks.GraphDrawStyle.BARS)


def traces(title: str, search: JaegerSearch, *, width: int, about: str) -> table.Panel:
    """Traces, each with a link to its waterfall."""
    panel = table.Panel().title(title).description(about).datasource(JAEGER).height(12)
    panel.with_target(search).span(width)
    return panel.override_by_name("Trace ID", [DynamicConfigValue("custom.width", 280)])
