"""A burst: how much of it reaches the collector, and what memory it takes to keep it meanwhile."""

from typing import Final

from benchmarks.bench.bench import Bench, Variant

_HERE: Final = "benchmarks.bench.burst"
_FAR: Final = {"WEFT_BENCH_DELAY": "0.05"}

BENCH: Final = Bench(
    name="burst",
    about="60,000 spans of served requests, each with its point and its log record, as fast as one "
    "process makes them. `kept ratio` is the share of the spans that reach the collector, which "
    "counts them; `peak mib` is the most memory above that before the burst, `drained s` the time "
    "from its end until the last span that comes is there. In `..._far` the collector takes 50 ms "
    "for each answer.",
    unit="span",
    variants=(
        Variant(
            name="sdk",
            about="the OpenTelemetry SDK with its default queue and batches",
            subject=f"{_HERE}.burst:sdk",
            telemetry=True,
        ),
        Variant(name="weft", about="Weft", subject=f"{_HERE}.burst:weft", telemetry=True),
        Variant(
            name="sdk_far",
            about="the SDK, a far collector",
            subject=f"{_HERE}.burst:sdk",
            telemetry=True,
            environment=_FAR,
        ),
        Variant(
            name="weft_far",
            about="Weft, a far collector",
            subject=f"{_HERE}.burst:weft",
            telemetry=True,
            environment=_FAR,
        ),
    ),
    far=f"{_HERE}.collector:counting",
    warm=0.0,
    seconds=16.0,
    rounds=3,
    pictured=("kept_ratio", "peak_mib"),
)
