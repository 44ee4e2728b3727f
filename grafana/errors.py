"""The Errors dashboard: those that are the same in one row, as on the gateway's /ops/errors."""

import json
from typing import Final
from urllib.parse import quote

from grafana_foundation_sdk.builders import dashboard, loki
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    VariableOption,
)

from grafana.kit.board import OURS, board, of_row, to
from grafana.kit.panels import AnyPanel, grid, lines, log_counts
from grafana.kit.queries import Targets
from grafana.kit.sources import JAEGER, LOKI

NAME: Final = "weft_error_fingerprint"
ERRORS: Final = f'{{{OURS}}} | {NAME}!=""'
DEAD: Final = f'{{{OURS}}} |= "message is dead" | {NAME}!=""'
ALIVE: Final = f'{{{OURS}}} != "message is dead" | {NAME}!=""'
AT: Final = "label_format at=`{{__timestamp__ | unixEpochMillis}}` | unwrap at"
COLUMNS: Final = {
    NAME: "Fingerprint",
    "exception_type": "Error",
    "Value #A": "Times",
    "Value #B": "Dead letters",
    "Value #C": "First seen",
    "Value #D": "Last seen",
    "trace_id": "Trace",
    "Value #E": "Traced",
}
"""Columns by the names that Grafana gives them, in their order."""


def errors() -> dashboard.Dashboard:
    """Return the dashboard, not yet built."""
    chosen = dashboard.TextBoxVariable("fingerprint").label("Fingerprint").default_value(".+")
    return board(
        "errors",
        "errors",
        "Errors of one type from one place: how often, since when, until when, and a trace.",
        {
            "How many": _counted(),
            "Which": [_table()],
            "What they say": [
                lines(
                    "Lines of errors",
                    f'{{{OURS}}} | {NAME}=~"$fingerprint"',
                    width=24,
                    about="Of all errors, or of those with the fingerprint that was clicked on.",
                )
            ],
        },
        chosen.current(VariableOption(text=".+", value=".+")),
    )


def _counted() -> list[AnyPanel]:
    every = f"count_over_time({ERRORS} [$__auto])"
    return [
        log_counts(
            "Errors over time",
            f"sum by ({NAME}, exception_type) ({every})",
            f"{{{{exception_type}}}} {{{{{NAME}}}}}",
            width=12,
            about="Log records of errors, by fingerprint.",
        ),
        log_counts(
            "Errors by service",
            f"sum by (service_name) ({every})",
            "{{service_name}}",
            width=12,
            about="Log records of errors, by the service that told of them.",
        ),
    ]


def _table() -> AnyPanel:
    """One row for each fingerprint, of several answers that have it in common."""
    counted = f"sum by ({NAME}) (count_over_time({{}} [$__range]))"
    traced = f'{ERRORS} | trace_id!="" | {AT}'
    targets: Targets = [
        _now("A", f"sum by ({NAME}, exception_type) (count_over_time({ALIVE} [$__range]))"),
        _now("B", f"{counted.format(DEAD)} or {counted.format(ERRORS)} * 0"),
        _now("C", f"min_over_time({ERRORS} | {AT} [$__range]) by ({NAME})"),
        _now("D", f"max_over_time({ERRORS} | {AT} [$__range]) by ({NAME})"),
        _now(
            "E", f"topk by ({NAME}) (1, max_over_time({traced} [$__range]) by ({NAME}, trace_id))"
        ),
    ]
    panel = grid(
        "Errors",
        targets,
        width=24,
        height=12,
        about="By type and place; weft dead-letters show has the letters of a fingerprint. "
        "Traces are told of up to 5,000 errors in the time chosen.",
        links={
            "Fingerprint": {"Its lines": to("errors", fingerprint=of_row("Fingerprint"))},
            "Trace": {"The trace": _explored(of_row("Trace"))},
        },
        hidden="Traced",
    )
    for column in ("First seen", "Last seen"):
        panel.override_by_name(column, [DynamicConfigValue("unit", "dateTimeAsIso")])
    order = {name: position for position, name in enumerate(COLUMNS)}
    organized = {"renameByName": COLUMNS, "indexByName": order}
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    return panel.with_transformation(DataTransformerConfig(id_val="organize", options=organized))


def _now(ref: str, expr: str) -> loki.Dataquery:
    """A query of this moment, each series a row."""
    return loki.Dataquery().expr(expr).ref_id(ref).query_type("instant").datasource(LOKI)


def _explored(trace: str) -> str:
    """The address of one trace in Grafana's Explore."""
    query = {"refId": "A", "datasource": {"type": "jaeger", "uid": JAEGER.uid}, "query": "TRACE"}
    panes = {"trace": {"datasource": JAEGER.uid, "queries": [query]}}
    return f"/explore?schemaVersion=1&panes={quote(json.dumps(panes))}".replace("TRACE", trace)
