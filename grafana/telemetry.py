"""The Telemetry dashboard: does what services tell arrive, and where does it wait or get lost."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit.board import OURS, board, of_label, to
from grafana.kit.panels import AnyPanel, graph, lines, number
from grafana.kit.queries import WINDOW, Targets, promql, rate, several

SIGNALS: Final = {"spans": "spans", "log records": "log_records", "points": "metric_points"}
COLLECTOR: Final = 'service_name="otel-collector"'
RECORDS: Final = "weft_telemetry_records_total"


def telemetry() -> Dashboard:
    """Return the dashboard, not yet built."""
    return board(
        "telemetry",
        "telemetry",
        "The way of spans, log records and metrics: told, received, queued, stored, or lost.",
        {
            "Now": _now(),
            "Services": _services(),
            "Collector": _collector(),
            "Backends": _backends(),
            "Log lines": [
                lines(
                    "Lines of the pipeline",
                    f'{{{OURS}, service_name=~"otel-collector|jaeger|loki|prometheus"}}',
                    width=24,
                    about="What the collector and the backends say of themselves.",
                )
            ],
        },
    )


def _moved(kind: str, signal: str, by: str = "") -> str:
    """Records of a signal a second that a part of the collector has accepted, sent ...

    Whether the names of its counters end with _total depends on its build.
    """
    grouped = f" by ({by}) " if by else ""
    counter = f'__name__=~"otelcol_{kind}_{SIGNALS[signal]}(_total)?", {COLLECTOR}'
    return f"sum{grouped}(rate({{{counter}}}{WINDOW}))"


def _by_signal(kind: str, by: str) -> Targets:
    return several({f"{{{{{by}}}}} {signal}": _moved(kind, signal, by) for signal in SIGNALS})


def _of_all(kind: str) -> Targets:
    parts = (f"({_moved(kind, signal)} or vector(0))" for signal in SIGNALS)
    return promql(" + ".join(parts), "records")


def _now() -> list[AnyPanel]:
    fill = "max(otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)"
    dropped = rate(RECORDS, 'outcome="dropped"')
    return [
        number(
            "Fullest queue",
            promql(fill, "full"),
            unit="percentunit",
            width=6,
            about="How full the collector's fullest queue is; a full one refuses.",
        ),
        number(
            "Refused by the collector",
            _of_all("receiver_refused"),
            unit="ops",
            width=6,
            about="Records a second that the collector did not take; services keep them.",
        ),
        number(
            "Given up by the collector",
            _of_all("exporter_send_failed"),
            unit="ops",
            width=6,
            about="Records a second that the collector has given up on: lost.",
        ),
        number(
            "Dropped by services",
            promql(f"{dropped} or vector(0)", "records"),
            unit="ops",
            width=6,
            about="Spans and log records a second beyond what a service may keep: lost.",
        ),
    ]


def _services() -> list[AnyPanel]:
    to_service = {"The service": to("service", service=of_label("service_name"))}
    waiting = (
        f'sum by (service_name) ({RECORDS}{{outcome=~"started|adopted"}})'
        f' - sum by (service_name) ({RECORDS}{{outcome=~"sent|dropped"}})'
    )
    return [
        graph(
            "Told by services",
            promql(
                rate(RECORDS, 'outcome="started"', "service_name, signal"),
                "{{service_name}} {{signal}}",
            ),
            unit="ops",
            width=12,
            about="Spans and log records a second that services begin, by their own count.",
            links=to_service,
        ),
        graph(
            "Waiting in services",
            promql(f"clamp_min({waiting}, 0)", "{{service_name}}"),
            unit="short",
            width=12,
            about="Spans and log records that a service keeps until the collector has them.",
            links=to_service,
        ),
    ]


def _collector() -> list[AnyPanel]:
    return [
        graph(
            "Received by the collector",
            _by_signal("receiver_accepted", "receiver"),
            unit="ops",
            width=8,
            about="Records of all three signals a second that the collector took.",
        ),
        graph(
            "Sent to backends",
            _by_signal("exporter_sent", "exporter"),
            unit="ops",
            width=8,
            about="Records a second that a backend has taken.",
        ),
        graph(
            "Collector queues",
            promql("sum by (exporter) (otelcol_exporter_queue_size)", "{{exporter}}"),
            unit="short",
            width=8,
            about="Records that wait on the collector's disk for a backend.",
        ),
        graph(
            "How full the queues are",
            promql(
                "max by (exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)",
                "{{exporter}}",
            ),
            unit="percentunit",
            width=8,
            about="Share of each queue that is used.",
        ),
        graph(
            "Memory of the pipeline",
            promql(
                'max by (service_name) (process_resident_memory_bytes{job="backing"}'
                ' or {__name__=~"otelcol_process_memory_rss(_bytes)?"})',
                "{{service_name}}",
            ),
            unit="bytes",
            width=8,
            about="Resident memory of the collector and the backends.",
        ),
        graph(
            "CPU of the pipeline",
            promql(
                f'sum by (service_name) (rate(process_cpu_seconds_total{{job="backing"}}{WINDOW})'
                f' or rate({{__name__=~"otelcol_process_cpu_seconds(_total)?"}}{WINDOW}))',
                "{{service_name}}",
            ),
            unit="suffix: cores",
            width=8,
            about="Cores that the collector and the backends keep busy.",
        ),
    ]


def _backends() -> list[AnyPanel]:
    return [
        graph(
            "Log lines stored",
            promql(rate("loki_distributor_lines_received_total"), "lines"),
            unit="ops",
            width=8,
            about="Log lines a second that Loki takes.",
        ),
        graph(
            "Samples stored",
            promql(rate("prometheus_tsdb_head_samples_appended_total"), "samples"),
            unit="ops",
            width=8,
            about="Samples a second that Prometheus stores.",
        ),
        graph(
            "Series",
            promql("sum(prometheus_tsdb_head_series)", "series"),
            unit="short",
            width=8,
            about="Time series that Prometheus keeps at hand.",
        ),
    ]
