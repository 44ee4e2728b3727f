"""From copied lines to a report."""

import io
import itertools
from datetime import date, timedelta

import polars as pl
import pytest

from services.report_runner import transform
from services.report_runner.domain import share
from services.report_runner.sales import SLICES, slices

FIRST = date(2026, 3, 1)


def lines(*sales: tuple[int, str, int, int], name: str = "Name", currency: str = "EUR") -> bytes:
    """COPY text of (day from 0, sku, quantity, amount)."""
    return b"".join(
        f"{FIRST + timedelta(days=day)}\t{sku}\t{name}\t{quantity}\t{amount}\t{currency}\n".encode()
        for day, sku, quantity, amount in sales
    )


def report(copied: bytes, days: int) -> pl.DataFrame:
    sums = transform.together([transform.summed(copied)])
    return transform.report(sums, FIRST, FIRST + timedelta(days=days))


def written(table: pl.DataFrame, format_: transform.Format) -> bytes:
    file = io.BytesIO()
    transform.write(table, format_, file)
    return file.getvalue()


def column(table: pl.DataFrame, name: str) -> list[object]:
    return table[name].to_list()


def test_sales_are_summed_per_day_and_product() -> None:
    table = report(lines((0, "A", 2, 500), (0, "A", 1, 250), (1, "A", 1, 250), (0, "B", 3, 99)), 2)
    known = table.filter(pl.col("quantity").is_not_null())
    assert column(known, "sku") == ["A", "A", "B", "B"]
    assert column(known, "quantity") == [3, 1, 3, 0]
    assert column(known, "revenue") == [7.5, 2.5, 0.99, 0]


def test_sums_of_parts_are_the_sums_of_the_whole() -> None:
    first, second = lines((0, "A", 1, 100), (0, "B", 1, 7)), lines((0, "A", 2, 200))
    parts = transform.together([transform.summed(first), transform.summed(second)])
    whole = transform.together([transform.summed(first + second)])
    assert parts.sort("sku").equals(whole.sort("sku"))


def test_a_product_in_two_currencies_is_two_products() -> None:
    copied = lines((0, "A", 1, 100)) + lines((0, "A", 1, 300), currency="SEK")
    table = report(copied, 1).filter(pl.col("quantity").is_not_null())
    assert column(table, "currency") == ["EUR", "SEK"]
    assert column(table, "revenue") == [1.0, 3.0]


def test_the_trend_of_a_product_is_that_of_the_table() -> None:
    # 13 days without a sale, then 49: M' = 49/7 = 7, M'' = 7/7 = 1,
    # level = 2 * 7 - 1 = 13, slope = 2/6 * (7 - 1) = 2
    table = report(lines((13, "A", 1, 4900), (0, "A", 0, 0)), 14)
    beyond = table.filter(pl.col("day") >= FIRST + timedelta(days=14))
    assert column(beyond, "forecast") == pytest.approx([15, 17, 19, 21, 23, 25, 27])
    assert column(table, "moving_average")[13] == pytest.approx(7)


def test_a_days_forecast_is_what_the_days_before_told() -> None:
    # revenue 7, 14, 21 ...: the line goes on by 7 a day, and 13 days are needed to tell
    table = report(lines(*((day, "A", 1, 700 * (day + 1)) for day in range(15))), 15)
    told = column(table, "forecast")
    assert told[:13] == [None] * 13
    assert told[13:] == pytest.approx([7.0 * (day + 1) for day in range(13, 22)])


def test_a_trend_does_not_reach_over_to_the_next_product() -> None:
    busy = [(day, "A", 1, 9900) for day in range(14)]
    table = report(lines(*busy, (13, "B", 1, 4900)), 14)
    beyond = table.filter((pl.col("sku") == "B") & pl.col("quantity").is_null())
    assert column(beyond, "forecast")[0] == pytest.approx(15)


def test_a_name_is_shown_as_it_was_given() -> None:
    table = report(lines((0, "A", 1, 100), name=r"Tea\tor \\n \n"), 1)
    assert column(table, "name")[0] == "Tea\tor \\n \n"


def test_a_csv_has_a_head_and_two_decimals() -> None:
    table = report(lines((0, "A", 1, 1999)), 1)
    head, first, *_ = written(table, "csv").decode().splitlines()
    assert head == "day,sku,name,currency,quantity,revenue,moving_average,forecast"
    assert first == "2026-03-01,A,Name,EUR,1,19.99,,"


def test_parquet_reads_back_as_it_was_written() -> None:
    table = report(lines((0, "A", 1, 1999)), 3)
    read = pl.read_parquet(io.BytesIO(written(table, "parquet")))
    assert read.equals(table)


def test_more_rows_than_a_report_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transform, "MAX_ROWS", 2 * (10 + transform.AHEAD) - 1)
    with pytest.raises(transform.TooLargeError):
        report(lines((0, "A", 1, 1), (0, "B", 1, 1)), 10)


@pytest.mark.parametrize("days", [1, 31, 32, 33, 365, 366])
def test_slices_cover_the_range_once(days: int) -> None:
    parts = slices(FIRST, FIRST + timedelta(days=days))
    assert len(parts) <= SLICES
    assert parts[0][0] == FIRST
    assert parts[-1][1] == FIRST + timedelta(days=days)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(parts))
    assert all(since < until for since, until in parts)


@pytest.mark.parametrize("desired", [0, 1, 4, 7, 1000])
@pytest.mark.parametrize("instances", [1, 2, 3, 8])
def test_the_shares_of_all_instances_add_up_to_what_is_desired(
    desired: int, instances: int
) -> None:
    shares = [share(desired, instances=instances, rank=rank) for rank in range(instances)]
    assert sum(shares) == desired
    assert max(shares) - min(shares) <= 1
