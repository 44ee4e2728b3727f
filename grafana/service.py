"""The Service dashboard: one service, whichever, from its requests down to its event loop."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit.board import board, services, to
from grafana.kit.panels import AnyPanel, graph, lines, log_counts, traces
from grafana.kit.queries import (
    FAILED,
    NO_PROBES,
    found,
    promql,
    quantile,
    quantiles,
    rate,
    several,
    share,
)

ONE: Final = 'service_name="$service"'
SERVED: Final = f"{ONE}, {NO_PROBES}"
INSTANCE: Final = "{{service_instance_id}}"
NO_MESSAGES: Final = "This service has no messages."
NO_CALLS: Final = "This service calls no other."
NO_DATABASE: Final = "This service has no database."


def service() -> Dashboard:
    """Return the dashboard, not yet built."""
    return board(
        "service",
        "service",
        "One service: its requests, messages, calls and statements, its process, what it says.",
        {
            "Requests": _requests(),
            "Messages": _messages(),
            "What it calls": _calls(),
            "Database": _database(),
            "Process": _process(),
            "Log lines and traces": _said(),
        },
        services(several=False),
    )


def _requests() -> list[AnyPanel]:
    metric = "http_server_request_duration_seconds"
    every = rate(f"{metric}_count", SERVED, "http_route")
    failed = rate(f"{metric}_count", f"{SERVED}, {FAILED}", "http_route")
    return [
        graph(
            "Requests by route",
            promql(every, "{{http_route}}"),
            unit="reqps",
            width=8,
            about="Requests served a second, without probes.",
        ),
        graph(
            "Failed requests by route",
            promql(share(failed, every), "{{http_route}}"),
            unit="percentunit",
            width=8,
            about="Share of each route's requests that were answered 5xx.",
        ),
        graph(
            "Request latency",
            quantiles(metric, SERVED),
            unit="s",
            width=8,
            about="Time to serve a request. The dots open traces.",
        ),
    ]


def _messages() -> list[AnyPanel]:
    in_hand = f"sum by (queue) (weft_consumer_in_flight{{{ONE}}})"
    bound = f"sum by (queue) (weft_consumer_concurrency{{{ONE}}})"
    return [
        graph(
            "Messages by outcome",
            promql(
                rate("weft_consumer_messages_total", ONE, "queue, outcome"),
                "{{queue}} {{outcome}}",
            ),
            unit="ops",
            width=8,
            about="Messages a second that the service was done with.",
            without=NO_MESSAGES,
            links={"Messages of all": to("messaging")},
        ),
        graph(
            "Message latency",
            quantiles("messaging_process_duration_seconds", ONE),
            unit="s",
            width=8,
            about="Time to handle a message. The dots open traces.",
            without=NO_MESSAGES,
        ),
        graph(
            "Consumers in use",
            promql(f"{in_hand} / {bound}", "{{queue}}"),
            unit="percentunit",
            width=8,
            about="Messages in hand as a share of what may be handled at once; 100 % is saturated.",
            without=NO_MESSAGES,
        ),
    ]


def _calls() -> list[AnyPanel]:
    metric = "http_client_request_duration_seconds"
    every = rate(f"{metric}_count", ONE, "server_port")
    failed = rate(f"{metric}_count", f'{ONE}, error_type!=""', "server_port")
    return [
        graph(
            "Calls to others",
            promql(every, "port {{server_port}}"),
            unit="reqps",
            width=8,
            about="Requests to other services a second, by their port, each try by itself.",
            without=NO_CALLS,
        ),
        graph(
            "Failed calls",
            promql(share(failed, every), "port {{server_port}}"),
            unit="percentunit",
            width=8,
            about="Share of tries that got no answer or an error.",
            without=NO_CALLS,
        ),
        graph(
            "Call latency p95",
            promql(quantile(0.95, metric, ONE, "server_port"), "port {{server_port}}"),
            unit="s",
            width=8,
            about="95 of 100 tries were answered faster.",
            without=NO_CALLS,
        ),
    ]


def _database() -> list[AnyPanel]:
    metric = "db_client_operation_duration_seconds"
    pool = "max by (db_client_connection_state) (db_client_connection_count{" + ONE + "})"
    most = f"max(db_client_connection_max{{{ONE}}})"
    return [
        graph(
            "Statements",
            promql(
                f"topk(8, {rate(f'{metric}_count', ONE, 'db_query_summary')})",
                "{{db_query_summary}}",
            ),
            unit="ops",
            width=8,
            about="The eight most frequent statements, how often a second.",
            without=NO_DATABASE,
        ),
        graph(
            "Statement latency p95",
            promql(
                f"topk(8, {quantile(0.95, metric, ONE, 'db_query_summary')})",
                "{{db_query_summary}}",
            ),
            unit="s",
            width=8,
            about="The eight slowest statements; 95 of 100 were faster. Bounds are 1, 5, 10 ms ...",
            without=NO_DATABASE,
            links={"PostgreSQL": to("postgresql")},
        ),
        graph(
            "Connection pool",
            [
                *promql(pool, "{{db_client_connection_state}}"),
                *promql(most, "most", ref="B"),
            ],
            unit="short",
            width=8,
            about="Connections of the fullest instance's pool; used ones at the most: others wait.",
            without=NO_DATABASE,
        ),
    ]


def _process() -> list[AnyPanel]:
    by_instance = "max by (service_instance_id) ({}{{" + ONE + "}})"
    slow = rate("weft_event_loop_slow_callbacks_total", ONE)
    return [
        graph(
            "CPU by instance",
            promql(
                rate("process_cpu_time_seconds_total", ONE, "service_instance_id"),
                INSTANCE,
            ),
            unit="suffix: cores",
            width=8,
            about="Cores that each instance keeps busy; its event loop has one.",
        ),
        graph(
            "Memory by instance",
            promql(by_instance.format("process_memory_usage_bytes"), INSTANCE),
            unit="bytes",
            width=8,
            about="Resident memory of each instance.",
        ),
        graph(
            "Garbage collections",
            promql(
                rate("cpython_gc_collections_total", ONE, "cpython_gc_generation"),
                "generation {{cpython_gc_generation}}",
            ),
            unit="ops",
            width=8,
            about="Runs of Python's collector a second, by generation; 2 is the long one.",
        ),
        graph(
            "Event-loop lag by instance",
            promql(by_instance.format("weft_event_loop_lag_seconds"), INSTANCE),
            unit="s",
            width=8,
            about="Worst delay of a callback that was due.",
        ),
        graph(
            "Tasks by instance",
            promql(by_instance.format("weft_event_loop_tasks"), INSTANCE),
            unit="short",
            width=8,
            about="Tasks of the event loop that have not ended.",
        ),
        graph(
            "Slow callbacks and threads",
            several(
                {
                    "slow callbacks a second": f"{slow} or vector(0)",
                    "threads": f"max(process_thread_count{{{ONE}}})",
                }
            ),
            unit="short",
            width=8,
            about="Callbacks that held the event loop up for 0.1 s and more; threads at the most.",
        ),
    ]


def _said() -> list[AnyPanel]:
    own = 'service_namespace="weft", service_name="$service"'
    return [
        log_counts(
            "Log lines by severity",
            f"sum by (severity_text) (count_over_time({{{own}}} [$__auto]))",
            "{{severity_text}}",
            width=24,
            about="Log lines of the service by how bad they are.",
        ),
        lines(
            "Log lines",
            f"{{{own}}}",
            width=14,
            about="Open a line for its facts and for the links to its trace and its order.",
        ),
        traces(
            "Traces",
            found("$service"),
            width=10,
            about="The newest traces that the service had a part in.",
        ),
    ]
