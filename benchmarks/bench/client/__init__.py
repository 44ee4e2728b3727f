"""A hop to another service: what its span, its points and its context in the headers cost."""

from typing import Final

from benchmarks.bench.bench import Bench, Goal, Variant

_HERE: Final = "benchmarks.bench.client"

BENCH: Final = Bench(
    name="client",
    about="GET of a small JSON document by aiohttp's client with uvloop, 32 at a time, from a "
    "server in a process of its own. Each makes a span and a point of the duration's histogram, "
    "and carries its context in the headers. `weft` and `sdk` are a seam around aiohttp's client; "
    "`client` is Weft's own, with deadline, retry budget and circuit breaker.",
    unit="request",
    variants=(
        Variant(name="bare", about="aiohttp's client", subject=f"{_HERE}.clients:bare"),
        Variant(
            name="weft",
            about="with Weft's seam around it",
            subject=f"{_HERE}.chassis:seam",
            telemetry=True,
        ),
        Variant(
            name="sdk",
            about="the same seam on the OpenTelemetry SDK (WEFT_TELEMETRY=sdk)",
            subject=f"{_HERE}.chassis:seam",
            telemetry=True,
            environment={"WEFT_TELEMETRY": "sdk"},
        ),
        Variant(
            name="client_quiet",
            about="Weft's HttpClient, telemetry off",
            subject=f"{_HERE}.chassis:client",
        ),
        Variant(
            name="client",
            about="Weft's HttpClient",
            subject=f"{_HERE}.chassis:client",
            telemetry=True,
        ),
        Variant(
            name="official",
            about="the official instrumentation of aiohttp's client, stable conventions",
            subject=f"{_HERE}.official:official",
            telemetry=True,
            packages="official",
            environment={"OTEL_SEMCONV_STABILITY_OPT_IN": "http"},
        ),
    ),
    goals=(
        Goal(
            variant="weft",
            metric="cpu_us_per_unit",
            beside="official",
            bound=0.125,
            kind="at most",
            above="bare",
        ),
        Goal(
            variant="client",
            metric="cpu_us_per_unit",
            beside="official",
            bound=0.125,
            kind="at most",
            above="client_quiet",
            beside_above="bare",
        ),
    ),
    far="benchmarks.bench.http.servers:bare",
)
