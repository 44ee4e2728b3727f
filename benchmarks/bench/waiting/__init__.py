"""Ten thousand reports waiting on I/O at once, in one process: tasks beside goroutines."""

from typing import Final

from benchmarks.bench.bench import Bench, Variant

_HERE: Final = "benchmarks.bench.waiting"

BENCH: Final = Bench(
    name="waiting",
    about="10,000 workers at once, each with a report in hand: it waits a second for an answer "
    "over a connection of its own while its lease is renewed beside it, under a deadline; then it "
    "has the next. Memory and the loop's lag are those of the process alone; the server that keeps "
    "them waiting counts in the CPU, and is the same for both.",
    unit="report",
    variants=(
        Variant(
            name="tasks",
            about="asyncio tasks as report_runner has them: one that works, one that renews",
            subject=f"{_HERE}.tasks:tasks",
        ),
        Variant(
            name="goroutines",
            about="a Go program of the same shape: a goroutine that works, one that renews",
            subject=f"{_HERE}.goroutines:goroutines",
            program="go",
        ),
    ),
    warm=4.0,
    seconds=10.0,
    rounds=3,
    pictured=("kilobytes_a_worker_KB", "worst_lag_ms"),
)
