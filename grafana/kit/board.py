"""The frame of every dashboard: its ways to the others, what has changed, and its rows."""

from collections.abc import Mapping, Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    DashboardCursorSync,
    DashboardLinkType,
    VariableModel,
    VariableOption,
    VariableRefresh,
)

from grafana.kit.panels import AnyPanel
from grafana.kit.sources import LOKI, PROMETHEUS

Variable = cog.Builder[VariableModel]

OURS: Final = 'service_namespace="weft"'
CHANGES: Final = rf'{{{OURS}}} | event_name=~"weft\\.change\\..+"'
FIRING: Final = 'ALERTS{alertstate="firing", severity=~"critical|warning"}'
TIME: Final = "${__url_time_range}"


class Marks(AnnotationQuery, cog.Builder[AnnotationQuery]):
    """Vertical lines where something happened; the SDK lacks the fields of the data sources."""

    def __init__(self, more: Mapping[str, str], **fields: object) -> None:
        super().__init__(**fields)  # type: ignore[arg-type]
        self._more = more

    def build(self) -> AnnotationQuery:
        return self

    def to_json(self) -> dict[str, object]:
        return super().to_json() | dict(self._more)


def board(
    name: str,
    title: str,
    about: str,
    rooms: Mapping[str, Sequence[AnyPanel]],
    *variables: Variable,
) -> dashboard.Dashboard:
    """Return a dashboard, not yet built: its panels by the row that they stand in."""
    others = dashboard.DashboardLink("Weft").type(DashboardLinkType.DASHBOARDS).tags(["weft"])
    made = (
        dashboard.Dashboard(f"Weft {title}")
        .uid(uid(name))
        .tags(["weft"])
        .description(about)
        .time("now-15m", "now")
        .refresh("10s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(others.as_dropdown(True).keep_time(True))
        .annotation(_changes())
        .annotation(_alerts())
    )
    for variable in variables:
        made.with_variable(variable)
    for room, panels in rooms.items():
        made.with_row(dashboard.Row(room))
        for panel in panels:
            made.with_panel(panel)
    return made


def uid(name: str) -> str:
    """The name of a dashboard in addresses."""
    return f"weft-{name}"


def to(name: str, **variables: str) -> str:
    """The address of a dashboard, for the same time and with these variables."""
    chosen = [f"var-{variable}={value}" for variable, value in variables.items()]
    return f"/d/{uid(name)}?{'&'.join([*chosen, TIME])}"


def of_label(label: str) -> str:
    """In an address: the value that the clicked line has for a label."""
    return f"${{__field.labels.{label}}}"


def of_row(column: str) -> str:
    """In an address: the value of a column in the clicked row."""
    return f'${{__data.fields["{column}"]}}'


def services(*, several: bool) -> dashboard.QueryVariable:
    """The variable `service`: one service, or `several` with all of them at first."""
    variable = (
        dashboard.QueryVariable("service")
        .label("Service")
        .datasource(PROMETHEUS)
        .query("label_values(weft_event_loop_lag_seconds, service_name)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )
    if several:
        return variable.multi(True).include_all(True).all_value(".+")
    return variable.current(VariableOption(text="orders", value="orders"))


def _changes() -> Marks:
    return Marks(
        {
            "titleFormat": "{{event_name}} {{service_name}}",
            "tagKeys": "service_name,weft_scale_service,weft_scale_instances,weft_scale_workers,"
            "weft_scale_reason,weft_flag_name,"
            "weft_flag_on,weft_deploy_version",
        },
        name="Changes",
        datasource=LOKI,
        icon_color="blue",
        expr=CHANGES,
    )


def _alerts() -> Marks:
    return Marks(
        {
            "titleFormat": "{{alertname}}",
            "tagKeys": "severity,service_name,queue",
            "step": "10s",
        },
        name="Alerts",
        datasource=PROMETHEUS,
        icon_color="red",
        expr=FIRING,
    )
