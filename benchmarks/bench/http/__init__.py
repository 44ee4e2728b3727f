"""Serving a trivial JSON request: what the three signals cost."""

from typing import Final

from benchmarks.bench.bench import Bench, Goal, Variant

_HERE: Final = "benchmarks.bench.http"

BENCH: Final = Bench(
    name="http",
    about="A trivial JSON handler of aiohttp with uvloop, 64 connections. Every request makes a "
    "span, points of the duration's histogram with exemplars and one log record; all are sampled "
    "and exported over OTLP/HTTP (ddtrace: its own protocol, spans alone) to a sink.",
    unit="request",
    variants=(
        Variant(name="bare", about="no telemetry", subject=f"{_HERE}.servers:bare"),
        Variant(
            name="weft",
            about="Weft's engine",
            subject=f"{_HERE}.chassis:weft",
            telemetry=True,
        ),
        Variant(
            name="sdk",
            about="the same seam on the OpenTelemetry SDK (WEFT_TELEMETRY=sdk)",
            subject=f"{_HERE}.chassis:weft",
            telemetry=True,
            environment={"WEFT_TELEMETRY": "sdk"},
        ),
        Variant(
            name="official",
            about="the official instrumentation of aiohttp's server, stable conventions, and "
            "the SDK's handler for one line of `logging`",
            subject=f"{_HERE}.official:official",
            telemetry=True,
            packages="official",
            environment={"OTEL_SEMCONV_STABILITY_OPT_IN": "http"},
        ),
        Variant(
            name="ddtrace",
            about="ddtrace's integration of aiohttp: spans alone",
            subject=f"{_HERE}.datadog:datadog",
            telemetry=True,
            packages="ddtrace",
        ),
    ),
    goals=(
        Goal(variant="weft", metric="cpu_us_per_unit", beside="bare", bound=1.7, kind="at most"),
        Goal(
            variant="weft",
            metric="cpu_us_per_unit",
            beside="official",
            bound=0.1,
            kind="at most",
            above="bare",
        ),
        Goal(variant="weft", metric="per_second", beside="bare", bound=0.6),
        Goal(variant="weft", metric="p99_ms", beside="bare", bound=2.0, kind="at most"),
    ),
    driver=f"{_HERE}.driver:drive",
)
