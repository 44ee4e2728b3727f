"""The Overview dashboard: how every service does, what becomes of orders, what was last said."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import VariableOption

from grafana.alerts import firing
from grafana.kit.board import FIRING, board, of_label, services, to
from grafana.kit.panels import (
    AnyPanel,
    graph,
    grid,
    lines,
    log_counts,
    node_graph,
    number,
    traces,
)
from grafana.kit.queries import (
    FAILED,
    NO_PROBES,
    QUANTILES,
    WINDOW,
    Targets,
    dependencies,
    found,
    promql,
    quantile,
    quantiles,
    rate,
    rows,
    several,
    share,
)

HANDLED: Final = 'service_name=~"$service"'
SERVED: Final = f"{HANDLED}, {NO_PROBES}"
DOOR: Final = 'service_name="gateway", http_route=~"/v1/.*"'
LINES: Final = 'service_namespace="weft", service_name=~"$service"'
HTTP: Final = "http_server_request_duration_seconds"
TO_SERVICE: Final = {"The service": to("service", service=of_label("service_name"))}


def overview() -> dashboard.Dashboard:
    """Return the dashboard, not yet built."""
    return board(
        "overview",
        "overview",
        "Rate, errors and latency of every service, objectives, and what becomes of orders.",
        {
            "Now": _now(),
            "Objectives": _objectives(),
            "Requests": _requests(),
            "Compared": _compared(),
            "Messages": _messages(),
            "Orders": _orders(),
            "Inside": _inside(),
            "Who calls whom": [
                node_graph(
                    "Service map",
                    dependencies(),
                    width=24,
                    about="Services, and how often one calls another, as Jaeger counts in traces.",
                )
            ],
            "Log lines and traces": _said(),
        },
        services(several=True),
        _before(),
    )


def _before() -> dashboard.CustomVariable:
    """How far back to compare."""
    usual = VariableOption(selected=True, text="1d", value="1d")
    return (
        dashboard.CustomVariable("before").label("Compare with").values("1h,1d,7d").current(usual)
    )


def _by_service(expr: str) -> Targets:
    return promql(expr, "{{service_name}}")


def _now() -> list[AnyPanel]:
    served = rate(f"{HTTP}_count", DOOR)
    failed = rate(f"{HTTP}_count", f"{DOOR}, {FAILED}")
    return [
        number(
            "Requests at the gateway",
            promql(served, "requests"),
            unit="reqps",
            width=4,
            about="Requests to the public API a second.",
            links={"The gateway": to("service", service="gateway")},
        ),
        number(
            "Failed requests",
            promql(share(failed, served), "failed"),
            unit="percentunit",
            width=4,
            about="Share of the public API's answers that were 5xx.",
            links={"The gateway": to("service", service="gateway")},
        ),
        number(
            "p95 at the gateway",
            promql(quantile(0.95, HTTP, DOOR), "p95"),
            unit="s",
            width=4,
            about="95 of 100 requests to the public API were answered faster.",
            links={"The gateway": to("service", service="gateway")},
        ),
        number(
            "Finished orders",
            promql(rate("weft_orders_total"), "orders"),
            unit="ops",
            width=4,
            about="Orders confirmed or rejected a second.",
            links={"Orders": to("orders")},
        ),
        number(
            "Alerts that fire",
            promql(f"count({FIRING}) or vector(0)", "alerts"),
            unit="short",
            width=4,
            about="Critical ones and warnings.",
            links={"Alerts": to("alerts")},
        ),
        number(
            "Instances ready",
            promql("sum(weft_ready)", "instances"),
            unit="short",
            width=4,
            about="Instances of services whose dependencies all answer.",
        ),
        firing(height=6),
    ]


def _objectives() -> list[AnyPanel]:
    spent = "last_over_time(slo:errors:ratio1d[3m]) / on (slo) slo:budget:ratio"
    burn = "slo:errors:ratio1h / on (slo) slo:budget:ratio"
    return [
        graph(
            "Missed objectives",
            promql("slo:errors:ratio1h", "{{slo}}"),
            unit="percentunit",
            width=8,
            about="Share of the last hour's requests, orders, reports and probes that were bad.",
        ),
        graph(
            "Burn rate",
            promql(burn, "{{slo}}"),
            unit="none",
            width=8,
            about="How many times too fast the budget is spent; above 14.4 somebody is woken.",
        ),
        graph(
            "Error budget left",
            promql(f"clamp_min(1 - {spent}, 0)", "{{slo}}"),
            unit="percentunit",
            width=8,
            about="What is left of a day's share of the budget; at zero the objective is missed.",
        ),
    ]


def _requests() -> list[AnyPanel]:
    every = rate(f"{HTTP}_count", SERVED, "service_name")
    failed = rate(f"{HTTP}_count", f"{SERVED}, {FAILED}", "service_name")
    return [
        graph(
            "Requests",
            _by_service(every),
            unit="reqps",
            width=12,
            about="Requests served a second, without probes.",
            links=TO_SERVICE,
        ),
        graph(
            "Failed requests by service",
            _by_service(share(failed, every)),
            unit="percentunit",
            width=12,
            about="Share of requests that were answered 5xx.",
            links=TO_SERVICE,
        ),
        *(
            graph(
                f"Request latency {name}",
                promql(
                    quantile(q, HTTP, SERVED, "service_name"),
                    "{{service_name}}",
                    exemplars=name == "p99",
                ),
                unit="s",
                width=8,
                about="Time to serve a request. The dots of p99 open traces.",
                links=TO_SERVICE,
            )
            for name, q in QUANTILES.items()
        ),
        _routes(
            "Busiest routes",
            f"topk(10, {rate(f'{HTTP}_count', SERVED, 'service_name, http_route')})",
            unit="reqps",
            about="The ten routes with the most requests a second.",
        ),
        _routes(
            "Slowest routes",
            f"topk(10, {quantile(0.95, HTTP, SERVED, 'service_name, http_route')} > 0)",
            unit="s",
            about="The ten routes with the highest p95.",
        ),
    ]


def _routes(title: str, expr: str, *, unit: str, about: str) -> AnyPanel:
    links = {"service_name": {"The service": to("service", service="${__value.raw}")}}
    return grid(title, rows(expr), unit=unit, width=12, about=about, links=links)


def _compared() -> list[AnyPanel]:
    """The same figure now and then, one beside the other."""
    figures = {
        "Requests, now and before": (f"{HTTP}_count", DOOR, "reqps", "Requests to the public API"),
        "Orders, now and before": ("weft_orders_total", "", "ops", "Finished orders"),
        "Messages, now and before": ("weft_consumer_messages_total", "", "ops", "Messages handled"),
    }
    return [
        graph(
            title,
            several(
                {
                    "now": rate(metric, selector),
                    "before": _back_then(metric, selector),
                }
            ),
            unit=unit,
            width=8,
            about=f"{what} a second, and as many an hour, a day or a week before.",
        )
        for title, (metric, selector, unit, what) in figures.items()
    ]


def _back_then(metric: str, selector: str) -> str:
    return f"sum(rate({metric}{{{selector}}}{WINDOW} offset $before))"


def _messages() -> list[AnyPanel]:
    counted = "weft_consumer_messages_total"
    every = rate(counted, HANDLED, "service_name")
    failed = rate(counted, f'{HANDLED}, outcome=~"retried|dead"', "service_name")
    return [
        graph(
            "Messages by queue",
            promql(rate(counted, HANDLED, "queue, outcome"), "{{queue}} {{outcome}}"),
            unit="ops",
            width=8,
            about="Messages a second that consumers were done with.",
            links={"Messaging": to("messaging")},
        ),
        graph(
            "Failed messages",
            _by_service(share(failed, every)),
            unit="percentunit",
            width=8,
            about="Share of messages that were put off or went to the dead letters.",
            links=TO_SERVICE,
        ),
        graph(
            "Message latency",
            quantiles("messaging_process_duration_seconds", HANDLED),
            unit="s",
            width=8,
            about="Time to handle a message. The dots open traces.",
        ),
    ]


def _orders() -> list[AnyPanel]:
    return [
        graph(
            "Orders by outcome",
            promql(
                rate("weft_orders_total", by="outcome, reason"),
                "{{outcome}} {{reason}}",
            ),
            unit="ops",
            width=8,
            stacked=True,
            about="Orders finished a second; rejected ones with their reason.",
            links={"Orders": to("orders")},
        ),
        graph(
            "Order duration",
            quantiles("weft_order_duration_seconds"),
            unit="s",
            width=8,
            about="From an order's acceptance to its end. The dots open traces.",
        ),
        graph(
            "Orders in progress",
            promql("max(weft_saga_active)", "orders"),
            unit="short",
            width=8,
            about="Orders accepted and not finished.",
        ),
    ]


def _inside() -> list[AnyPanel]:
    by_service = "max by (service_name) ({}{{" + HANDLED + "}})"
    return [
        graph(
            "Event-loop lag",
            _by_service(by_service.format("weft_event_loop_lag_seconds")),
            unit="s",
            width=8,
            about="Worst delay of a callback that was due.",
            links=TO_SERVICE,
        ),
        graph(
            "Relay lag in time",
            _by_service(by_service.format("weft_relay_lag_age_seconds")),
            unit="s",
            width=8,
            about="Age of the oldest row in each outbox.",
            links={"Messaging": to("messaging")},
        ),
        graph(
            "CPU",
            _by_service(rate("process_cpu_time_seconds_total", HANDLED, "service_name")),
            unit="suffix: cores",
            width=8,
            about="Cores that each service keeps busy, all instances together.",
            links=TO_SERVICE,
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
            about="Open a line for its facts and for the links to its trace and its order.",
        ),
        traces(
            "Recent traces",
            found("gateway", operation="POST /v1/orders"),
            width=10,
            about="Orders placed at the gateway.",
        ),
    ]
