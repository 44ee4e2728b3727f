"""A monthly report out of many lines of orders: time, CPU and the memory that it takes."""

from typing import Final

from benchmarks.bench.bench import Bench, Goal, Variant

_HERE: Final = "benchmarks.bench.etl.report"

BENCH: Final = Bench(
    name="etl",
    about="A report of 31 days over the orders' read model, 1,000 products: copied, summed, the "
    "trend added, written as Parquet to a folder. Memory is the most that the process has above "
    "what it has without a report.",
    unit="row",
    variants=(
        Variant(name="million", about="1 million order lines", subject=f"{_HERE}:million"),
        Variant(name="ten_million", about="10 million", subject=f"{_HERE}:ten_million"),
    ),
    goals=(
        Goal(
            variant="ten_million",
            metric="peak_MB",
            beside="million",
            bound=1.5,
            kind="at most",
        ),
    ),
    needs=("postgres", "rabbitmq"),
    warm=0.5,
    seconds=60.0,
    rounds=1,
    pictured=("peak_MB", "a_report_s"),
)
