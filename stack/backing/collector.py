"""The OpenTelemetry Collector."""

from pathlib import Path

from stack import services, settings
from stack.home import ROOT
from stack.parts import Found
from stack.ports import BIND
from stack.probe import http_ok
from stack.program import Program
from stack.system import System


def program(system: System, found: Found) -> Program:
    ports, record = system.ports, recorded(system)
    remembered = services.remembered(system)
    sampling, doors = settings.sampling(remembered), settings.doors(remembered)
    return Program(
        id="otel-collector",
        name="otel-collector",
        kind="backing",
        port=ports.of("otel-collector"),
        command=(
            found.binaries["otelcol"],
            *(
                f"--config={ROOT / 'otel-collector' / name}.yaml"
                for name in ("config", f"doors-{doors}", "today", f"sampling-{sampling}")
            ),
            *([f"--config={ROOT / 'otel-collector' / 'record.yaml'}"] if record.exists() else []),
        ),
        environment={
            "WEFT_COLLECTOR_GRPC": ports.address("otel-collector"),
            "WEFT_COLLECTOR_HTTP": ports.address("otel-collector-http"),
            "WEFT_COLLECTOR_ZIPKIN": ports.address("otel-collector-zipkin"),
            "WEFT_COLLECTOR_FLUENT": ports.address("otel-collector-fluent"),
            "WEFT_COLLECTOR_HEALTH": ports.address("otel-collector-health"),
            "WEFT_COLLECTOR_METRICS_HOST": BIND,
            "WEFT_COLLECTOR_METRICS_PORT": str(ports.of("otel-collector-metrics")),
            "WEFT_COLLECTOR_DATA": str(system.home.data("otel-collector")),
            **({"WEFT_COLLECTOR_RECORD": str(record)} if record.exists() else {}),
            "WEFT_JAEGER_OTLP": ports.address("jaeger-otlp-grpc"),
            "WEFT_PROMETHEUS_OTLP": f"{ports.url('prometheus')}/api/v1/otlp",
            "WEFT_LOKI_OTLP": f"{ports.url('loki')}/otlp",
            "GOMEMLIMIT": "350MiB",
        },
        probe=http_ok(f"{ports.url('otel-collector-health')}/"),
        stop_seconds=20,
    )


def prepare(system: System, found: Found) -> None:
    del found
    system.home.data("otel-collector").mkdir(mode=0o700, exist_ok=True)
    if settings.records():
        recorded(system).mkdir(mode=0o700, exist_ok=True)


def recorded(system: System) -> Path:
    """Return the folder of what was received; where it is, the collector writes into it."""
    return system.home.data("otel-collector-record")
