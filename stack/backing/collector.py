"""The OpenTelemetry Collector."""

from stack import services, settings
from stack.home import ROOT
from stack.parts import Found
from stack.ports import BIND
from stack.probe import http_ok
from stack.program import Program
from stack.system import System


def program(system: System, found: Found) -> Program:
    ports = system.ports
    sampling = settings.sampling(services.remembered(system))
    return Program(
        id="otel-collector",
        name="otel-collector",
        kind="backing",
        port=ports.of("otel-collector"),
        command=(
            found.binaries["otelcol"],
            f"--config={ROOT / 'otel-collector' / 'config.yaml'}",
            f"--config={ROOT / 'otel-collector' / f'sampling-{sampling}.yaml'}",
        ),
        environment={
            "WEFT_COLLECTOR_GRPC": ports.address("otel-collector"),
            "WEFT_COLLECTOR_HTTP": ports.address("otel-collector-http"),
            "WEFT_COLLECTOR_HEALTH": ports.address("otel-collector-health"),
            "WEFT_COLLECTOR_METRICS_HOST": BIND,
            "WEFT_COLLECTOR_METRICS_PORT": str(ports.of("otel-collector-metrics")),
            "WEFT_COLLECTOR_DATA": str(system.home.data("otel-collector")),
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
