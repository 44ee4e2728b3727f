"""A statement: what its span and its point cost."""

from typing import Final

from benchmarks.bench.bench import Bench, Goal, Variant

_HERE: Final = "benchmarks.bench.sql"

BENCH: Final = Bench(
    name="sql",
    about="A row read by its primary key, one after the other on one connection. Each makes a "
    "span and a point of the duration's histogram.",
    unit="statement",
    variants=(
        Variant(name="bare", about="asyncpg, a pool", subject=f"{_HERE}.clients:bare"),
        Variant(
            name="weft_quiet",
            about="Weft's Database (a bounded pool; errors translated), telemetry off",
            subject=f"{_HERE}.chassis:database",
        ),
        Variant(
            name="weft",
            about="the same, span and point exported",
            subject=f"{_HERE}.chassis:database",
            telemetry=True,
        ),
        Variant(
            name="sdk",
            about="the same on the OpenTelemetry SDK (WEFT_TELEMETRY=sdk)",
            subject=f"{_HERE}.chassis:database",
            telemetry=True,
            environment={"WEFT_TELEMETRY": "sdk"},
        ),
        Variant(
            name="official",
            about="asyncpg with its official instrumentation: spans alone",
            subject=f"{_HERE}.official:official",
            telemetry=True,
            packages="official",
        ),
    ),
    goals=(
        Goal(
            variant="weft",
            metric="cpu_us_per_unit",
            beside="official",
            bound=0.1,
            kind="at most",
            above="weft_quiet",
            beside_above="bare",
        ),
    ),
    needs=("postgres",),
    seconds=3.0,
)
