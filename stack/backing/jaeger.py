"""Jaeger, with badger as its store."""

from stack.home import ROOT
from stack.parts import Found
from stack.ports import BIND
from stack.probe import http_ok
from stack.program import Program
from stack.system import System

NICE = 10
"""Orders do not wait for its store's merging; what is not stored waits in the collector's file."""


def program(system: System, found: Found) -> Program:
    ports = system.ports
    return Program(
        id="jaeger",
        name="jaeger",
        kind="backing",
        port=ports.of("jaeger"),
        command=(found.binaries["jaeger"], f"--config={ROOT / 'jaeger' / 'config.yaml'}"),
        environment={
            "WEFT_JAEGER_HTTP": ports.address("jaeger"),
            "WEFT_JAEGER_GRPC": ports.address("jaeger-query-grpc"),
            "WEFT_JAEGER_OTLP_GRPC": ports.address("jaeger-otlp-grpc"),
            "WEFT_JAEGER_OTLP_HTTP": ports.address("jaeger-otlp-http"),
            "WEFT_JAEGER_HEALTH": ports.address("jaeger-health"),
            "WEFT_JAEGER_METRICS_HOST": BIND,
            "WEFT_JAEGER_METRICS_PORT": str(ports.of("jaeger-metrics")),
            "WEFT_JAEGER_DATA": str(system.home.data("jaeger")),
            "WEFT_PROMETHEUS_URL": ports.url("prometheus"),
            "GOMEMLIMIT": "1GiB",
            "GOGC": "400",
        },
        probe=http_ok(f"{ports.url('jaeger-health')}/status"),
        stop_seconds=20,
        nice=NICE,
    )


def prepare(system: System, found: Found) -> None:
    del found
    system.home.data("jaeger").mkdir(mode=0o700, exist_ok=True)
