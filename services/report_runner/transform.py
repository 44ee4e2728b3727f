"""From lines of orders to a report: sales per day and product, with their trend. Pure, on Polars.

Polars lets go of the interpreter lock, so these run in threads beside the event loop.
"""

import io
from collections.abc import Sequence
from datetime import date, timedelta
from typing import IO, Final, Literal

import polars as pl

WINDOW: Final = 7
"""Days of the moving averages."""
AHEAD: Final = 7
"""Days after the report's range that are foretold."""
MAX_ROWS: Final = 2_000_000
"""Rows of a report: about 120 MB as CSV, and 0.7 GB of memory while it is computed."""
Format = Literal["csv", "parquet"]

_LINES: Final = {
    "day": pl.Date,
    "sku": pl.String,
    "name": pl.String,
    "quantity": pl.Int64,
    "amount_minor": pl.Int64,
    "currency": pl.String,
}
_PRODUCT: Final = ("sku", "currency")


class TooLargeError(Exception):
    """The report would have more rows than a report may have."""


def summed(copied: bytes) -> pl.DataFrame:
    """Return the sums per day and product of whole lines in PostgreSQL's COPY text format.

    Columns of a line: day, sku, name, quantity, amount_minor, currency.
    """
    lines = pl.read_csv(
        io.BytesIO(copied), has_header=False, separator="\t", quote_char=None, schema=_LINES
    )
    return _sums(lines)


def together(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the sums of sums of several parts of the lines."""
    return _sums(pl.concat(parts)) if parts else pl.DataFrame(schema=_LINES)


def report(sums: pl.DataFrame, first: date, end: date) -> pl.DataFrame:
    """Return a row for each product and day from `first` on, before `end` and a week beyond.

    A day without sales has zeros. `forecast` is what the days before told of a day, one day ahead;
    beyond the range, what its last day tells. It is null where there are too few days. Revenue
    in units of the currency. Raises TooLargeError.
    """
    products = sums.group_by(_PRODUCT).agg(pl.col("name").last())
    length = (end - first).days
    if products.height * (length + AHEAD) > MAX_ROWS:
        raise TooLargeError
    days = pl.DataFrame({"day": pl.date_range(first, end, closed="left", eager=True)})
    dense = (
        products.join(days, how="cross")
        .join(sums.drop("name"), on=("day", *_PRODUCT), how="left")
        .with_columns(
            pl.col("quantity").fill_null(0),
            (pl.col("amount_minor").fill_null(0) / 100).alias("revenue"),
        )
        .drop("amount_minor")
        .sort(*_PRODUCT, "day")
    )
    known = _with_trend(dense)
    beyond = _beyond(known, end)
    columns = ("day", "sku", "name", "currency", "quantity", "revenue", "moving_average")
    known = known.select(*columns, _one_ahead().alias("forecast"))
    future = beyond.select(
        *columns[:4],
        pl.lit(None, pl.Int64).alias("quantity"),
        pl.lit(None, pl.Float64).alias("revenue"),
        pl.lit(None, pl.Float64).alias("moving_average"),
        "forecast",
    )
    return pl.concat([known, future]).sort(*_PRODUCT, "day").with_columns(_unescaped())


def write(table: pl.DataFrame, format_: Format, file: IO[bytes]) -> None:
    """Write the table into a file."""
    if format_ == "csv":
        table.write_csv(file, float_precision=2)
    else:
        table.write_parquet(file)


def _sums(lines: pl.DataFrame) -> pl.DataFrame:
    return (
        lines.group_by("day", *_PRODUCT)
        .agg(pl.col("name").last(), pl.col("quantity").sum(), pl.col("amount_minor").sum())
        .select(*_LINES)
    )


def _with_trend(dense: pl.DataFrame) -> pl.DataFrame:
    """Add M' as `moving_average`, and `level` and `slope` of the double moving average."""
    first, second = pl.col("moving_average"), pl.col("second")
    return (
        dense.with_columns(
            pl.col("revenue").rolling_mean(WINDOW).over(_PRODUCT).alias("moving_average")
        )
        .with_columns(first.rolling_mean(WINDOW).over(_PRODUCT).alias("second"))
        .with_columns(
            (2 * first - second).alias("level"),
            (2 / (WINDOW - 1) * (first - second)).alias("slope"),
        )
    )


def _one_ahead() -> pl.Expr:
    return (pl.col("level") + pl.col("slope")).shift(1).over(_PRODUCT)


def _beyond(known: pl.DataFrame, end: date) -> pl.DataFrame:
    last = known.filter(pl.col("day") == end - timedelta(days=1))
    ahead = pl.DataFrame({"ahead": range(1, AHEAD + 1)}, schema={"ahead": pl.Int64})
    return (
        last.drop("day")
        .join(ahead, how="cross")
        .select(
            (pl.lit(end) + pl.duration(days=pl.col("ahead") - 1)).cast(pl.Date).alias("day"),
            "sku",
            "name",
            "currency",
            (pl.col("level") + pl.col("slope") * pl.col("ahead")).alias("forecast"),
        )
    )


def _unescaped() -> pl.Expr:
    r"""Names as they are: COPY writes a backslash as \\, and tabs and line ends as \t, \n, \r."""
    name = pl.col("name").str.replace_all("\\\\", "\0", literal=True)
    for letter, character in (("t", "\t"), ("n", "\n"), ("r", "\r")):
        name = name.str.replace_all("\\" + letter, character, literal=True)
    return name.str.replace_all("\0", "\\", literal=True)
