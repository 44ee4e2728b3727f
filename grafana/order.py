"""The Order dashboard: one order in all four stores: its events, its trace, its log lines."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import VariableHide, VariableRefresh

from grafana.kit.board import OURS, board
from grafana.kit.panels import AnyPanel, grid, lines, waterfall
from grafana.kit.queries import sql, trace
from grafana.kit.sources import ORDERS

THIS: Final = "order_id = ${order:sqlstring}::uuid"


def order() -> dashboard.Dashboard:
    """Return the dashboard, not yet built."""
    trace_of_it = _variable("trace", f"SELECT trace_id FROM read_v1.orders WHERE {THIS}")
    return board(
        "order",
        "order",
        "One order: what became of it, each step of it, and what every service said meanwhile.",
        {
            "What became of it": _facts(),
            "How": [
                waterfall(
                    "Trace",
                    trace("$trace"),
                    width=24,
                    about="From the request at the gateway to the order's end, span by span.",
                ),
                lines(
                    "Log lines",
                    f'{{{OURS}}} | trace_id="$trace"',
                    width=24,
                    about="What every service said of it.",
                ),
            ],
        },
        _variable(
            "order", "SELECT order_id::text FROM read_v1.orders ORDER BY order_id DESC LIMIT 100"
        ).label("Order"),
        trace_of_it.hide(VariableHide.HIDE_VARIABLE),
    )


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).datasource(ORDERS).query(query)
    return variable.refresh(VariableRefresh.ON_DASHBOARD_LOAD).allow_custom_value(True)


def _facts() -> list[AnyPanel]:
    return [
        grid(
            "The order",
            sql(
                f"""SELECT status, reason, total_minor / 100.0 AS total, currency, placed_at,
                           finished_at, trace_id
                    FROM read_v1.orders WHERE {THIS}"""
            ),
            width=24,
            height=4,
            about="Its status and what it costs.",
        ),
        grid(
            "Events",
            sql(
                f"""SELECT version, type, at,
                           extract(epoch FROM at - lag(at) OVER (ORDER BY version))::float8 AS took
                    FROM read_v1.order_events WHERE {THIS} ORDER BY version"""
            ),
            width=12,
            about="What happened, out of the event log, and the seconds since the event before.",
        ),
        grid(
            "Items",
            sql(
                f"""SELECT line, sku, name, quantity, amount_minor / 100.0 AS amount, currency
                    FROM read_v1.sales WHERE {THIS} ORDER BY line"""
            ),
            width=12,
            about="What was sold; nothing where the order was not confirmed or is synthetic.",
        ),
    ]
