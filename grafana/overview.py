"""The Overview dashboard: how every service does, what becomes of orders, what was last said."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, VariableRefresh

from grafana.kit import (
    PROMETHEUS,
    AnyPanel,
    JaegerSearch,
    Targets,
    graph,
    lines,
    log_counts,
    number,
    promql,
    traces,
)

WINDOW: Final = "[$__rate_interval]"
SERVED: Final = 'service_name=~"$service", http_route!~"/healthz|/readyz|/metrics"'
HANDLED: Final = 'service_name=~"$service"'
LINES: Final = 'service_namespace="weft", service_name=~"$service"'
QUANTILES: Final = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


def overview() -> dashboard.Dashboard:
    """Return the dashboard, not yet built."""
    made = (
        dashboard.Dashboard("Weft overview")
        .uid("weft-overview")
        .tags(["weft"])
        .description("Rate, errors and latency of every service, and what becomes of orders.")
        .time("now-15m", "now")
        .refresh("10s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(_services())
    )
    rooms = {
        "Now": _now(),
        "Requests": _requests(),
        "Messages": _messages(),
        "Orders": _orders(),
        "Inside": _inside(),
        "Log lines and traces": _said(),
    }
    for title, panels in rooms.items():
        made.with_row(dashboard.Row(title))
        for panel in panels:
            made.with_panel(panel)
    return made


def _services() -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("service")
        .label("Service")
        .datasource(PROMETHEUS)
        .query("label_values(weft_event_loop_lag_seconds, service_name)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".+")
    )


def _rate(metric: str, selector: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{selector}}}{WINDOW}))"


def _share(failed: str, all_of_them: str) -> str:
    """A ratio that is 0, and not absent, where nothing has failed yet."""
    return f"({failed} or {all_of_them} * 0) / {all_of_them}"


def _quantile(quantile: float, metric: str, selector: str, by: str) -> str:
    return f"histogram_quantile({quantile}, {_rate(f'{metric}_bucket', selector, f'le, {by}')})"


def _by_service(expr: str) -> Targets:
    return promql(expr, "{{service_name}}")


def _now() -> list[AnyPanel]:
    door = 'service_name="gateway", http_route=~"/v1/.*"'
    served = f"sum(rate(http_server_request_duration_seconds_count{{{door}}}{WINDOW}))"
    failed = (
        "sum(rate(http_server_request_duration_seconds_count"
        f'{{{door}, http_response_status_code=~"5.."}}{WINDOW}))'
    )
    slow = (
        "histogram_quantile(0.95, sum by (le) "
        f"(rate(http_server_request_duration_seconds_bucket{{{door}}}{WINDOW})))"
    )
    done = f"sum(rate(weft_orders_total{WINDOW}))"
    return [
        number(
            "Requests at the gateway",
            promql(served, "requests"),
            unit="reqps",
            width=4,
            about="Requests to the public API a second.",
        ),
        number(
            "Failed requests",
            promql(_share(failed, served), "failed"),
            unit="percentunit",
            width=4,
            about="Share of the public API's answers that were 5xx.",
        ),
        number(
            "p95 at the gateway",
            promql(slow, "p95"),
            unit="s",
            width=4,
            about="95 of 100 requests to the public API were answered faster.",
        ),
        number(
            "Finished orders",
            promql(done, "orders"),
            unit="ops",
            width=4,
            about="Orders confirmed or rejected a second.",
        ),
        number(
            "Orders in progress",
            promql("max(weft_saga_active)", "orders"),
            unit="short",
            width=4,
            about="Orders accepted and not finished.",
        ),
        number(
            "Instances ready",
            promql("sum(weft_ready)", "instances"),
            unit="short",
            width=4,
            about="Instances of services whose dependencies all answer.",
        ),
    ]


def _requests() -> list[AnyPanel]:
    metric = "http_server_request_duration_seconds"
    every = _rate(f"{metric}_count", SERVED, "service_name")
    failing = f'{SERVED}, http_response_status_code=~"5.."'
    failed = _rate(f"{metric}_count", failing, "service_name")
    return [
        graph(
            "Requests",
            _by_service(every),
            unit="reqps",
            width=12,
            about="Requests served a second, without probes.",
        ),
        graph(
            "Failed requests by service",
            _by_service(_share(failed, every)),
            unit="percentunit",
            width=12,
            about="Share of requests that were answered 5xx.",
        ),
        *(
            graph(
                f"Request latency {name}",
                promql(
                    _quantile(quantile, metric, SERVED, "service_name"),
                    "{{service_name}}",
                    exemplars=name == "p99",
                ),
                unit="s",
                width=8,
                about="Time to serve a request. The dots of p99 open traces.",
            )
            for name, quantile in QUANTILES
        ),
    ]


def _messages() -> list[AnyPanel]:
    counted = "weft_consumer_messages_total"
    every = _rate(counted, HANDLED, "service_name")
    failed = _rate(counted, f'{HANDLED}, outcome=~"retried|dead"', "service_name")
    return [
        graph(
            "Messages by queue",
            promql(_rate(counted, HANDLED, "queue, outcome"), "{{queue}} {{outcome}}"),
            unit="ops",
            width=12,
            about="Messages a second that consumers were done with.",
        ),
        graph(
            "Failed messages",
            _by_service(_share(failed, every)),
            unit="percentunit",
            width=12,
            about="Share of messages that were put off or went to the dead letters.",
        ),
        *(
            graph(
                f"Message latency {name}",
                promql(
                    _quantile(
                        quantile, "messaging_process_duration_seconds", HANDLED, "service_name"
                    ),
                    "{{service_name}}",
                    exemplars=name == "p99",
                ),
                unit="s",
                width=8,
                about="Time to handle a message. The dots of p99 open traces.",
            )
            for name, quantile in QUANTILES
        ),
    ]


def _orders() -> list[AnyPanel]:
    durations = [
        target
        for name, quantile in QUANTILES
        for target in promql(
            f"histogram_quantile({quantile}, "
            f"sum by (le) (rate(weft_order_duration_seconds_bucket{WINDOW})))",
            name,
            ref=name,
            exemplars=name == "p99",
        )
    ]
    return [
        graph(
            "Orders by outcome",
            promql(
                f"sum by (outcome, reason) (rate(weft_orders_total{WINDOW}))",
                "{{outcome}} {{reason}}",
            ),
            unit="ops",
            width=8,
            stacked=True,
            about="Orders finished a second; rejected ones with their reason.",
        ),
        graph(
            "Order duration",
            durations,
            unit="s",
            width=8,
            about="From an order's acceptance to its end. The dots open traces.",
        ),
        graph(
            "Orders in progress over time",
            promql("max(weft_saga_active)", "orders"),
            unit="short",
            width=8,
            about="Orders accepted and not finished.",
        ),
    ]


def _inside() -> list[AnyPanel]:
    by_service = f"max by (service_name) ({{}}{{{{{HANDLED}}}}})"
    depth = 'sum by (queue) (rabbitmq_detailed_queue_messages{queue!~".*\\\\.retry\\\\..*"})'
    return [
        graph(
            "Event-loop lag",
            _by_service(by_service.format("weft_event_loop_lag_seconds")),
            unit="s",
            width=8,
            about="Worst delay of a callback that was due.",
        ),
        graph(
            "Relay lag",
            _by_service(by_service.format("weft_relay_lag_events")),
            unit="short",
            width=8,
            about="Rows in each outbox that wait for the broker.",
        ),
        graph(
            "Relay lag in time",
            _by_service(by_service.format("weft_relay_lag_age_seconds")),
            unit="s",
            width=8,
            about="Age of the oldest row in each outbox.",
        ),
        graph(
            "Messages in hand",
            promql(
                f"sum by (service_name, queue) (weft_consumer_in_flight{{{HANDLED}}})", "{{queue}}"
            ),
            unit="short",
            width=8,
            about="Messages in the hands of each queue's consumers.",
        ),
        graph(
            "Messages in queues",
            promql(depth, "{{queue}}"),
            unit="short",
            width=8,
            about="Depth of each queue, without those for retries.",
        ),
        graph(
            "CPU",
            _by_service(_rate("process_cpu_time_seconds_total", HANDLED, "service_name")),
            unit="suffix: cores",
            width=8,
            about="Cores that each service keeps busy, all instances together.",
        ),
    ]


def _said() -> list[AnyPanel]:
    return [
        log_counts(
            "Log lines by service",
            f"sum by (service_name) (count_over_time({{{LINES}}} [$__auto]))",
            "{{service_name}}",
            width=12,
            about="Log lines of each service.",
        ),
        log_counts(
            "Log lines by severity",
            f"sum by (severity_text) (count_over_time({{{LINES}}} [$__auto]))",
            "{{severity_text}}",
            width=12,
            about="Log lines by how bad they are.",
        ),
        lines(
            "Recent log lines",
            f"{{{LINES}}}",
            width=14,
            about="Open a line for its facts and for the link to its trace.",
        ),
        traces(
            "Recent traces",
            JaegerSearch("gateway", operation="POST /v1/orders"),
            width=10,
            about="Orders placed at the gateway.",
        ),
    ]
