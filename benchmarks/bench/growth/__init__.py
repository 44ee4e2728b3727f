"""Stored events: what they cost those that come after."""

import os
from typing import Final

from benchmarks.bench.bench import Bench, Goal, Variant
from benchmarks.bench.growth.turns import APPENDS, PROJECTED, QUERIES, READS

_MOST: Final = int(os.environ.get("WEFT_BENCH_EVENTS", "1_000_000"))
"""WEFT_BENCH_EVENTS=10000000 adds the largest: minutes and 8 GB of disk for each round."""
_SIZES: Final = {
    name: size
    for name, size in (
        *(("10k", 10_000), ("100k", 100_000)),
        *(("1m", 1_000_000), ("10m", 10_000_000)),
    )
    if size <= _MOST
}
_FLAT: Final = 1.5
_METRICS: Final = ("append_cpu_us", "read_cpu_us", "project_cpu_us", "query_cpu_us")

BENCH: Final = Bench(
    name="growth",
    about="A database of orders with so many stored events, six of each order, made by INSERT from "
    "generate_series; the read models hold the same orders. A turn is, on random orders, "
    f"{APPENDS} appends of one event, {READS} reads of one order's stream, the projection of "
    f"sales over {PROJECTED} events from a random place on, and {QUERIES} queries of the newest 50 "
    "orders of one customer. Each is done with Weft's own classes and the service's own "
    "statements, telemetry off; its CPU time is that of the client and of PostgreSQL's processes "
    "for it, per append, read, event and query.",
    unit="turn",
    variants=tuple(
        Variant(
            name=name,
            about=f"{size:,} events",
            subject="benchmarks.bench.growth.turns:turns",
            environment={"WEFT_BENCH_EVENTS": str(size)},
        )
        for name, size in _SIZES.items()
    ),
    goals=tuple(
        Goal(variant=list(_SIZES)[-1], metric=metric, beside="10k", bound=_FLAT, kind="at most")
        for metric in _METRICS
    ),
    pictured=_METRICS,
    needs=("postgres",),
    warm=2.0,
    seconds=6.0,
    rounds=3,
)
