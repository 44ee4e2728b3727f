"""Reports of one month, one after the other, as a worker of report_runner makes them."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Final

import asyncpg
import psutil

from benchmarks.bench.processes import ROOT
from benchmarks.bench.subject import Meter, Place, working
from services.report_runner.making import Maker
from services.report_runner.requestor import Claim
from services.report_runner.sales import Sales
from weft.artifacts import Artifacts
from weft.postgres import Database
from weft.settings import Secret

_FIRST, _END = date(2026, 1, 1), date(2026, 2, 1)
_LOOK: Final = 0.02
_FILL: Final = (
    "INSERT INTO sales (generation, order_id, line, sold_at, sku, name, quantity, price_minor,"
    " currency) SELECT $1, gen_random_uuid(), 1,"
    " timestamptz '2026-01-01Z' + interval '31 days' * (n::float8 / $2),"
    " 'SKU-' || n % 1000, 'The product number ' || n % 1000, n % 5 + 1, 250 + n % 1000, 'EUR'"
    " FROM generate_series(0, $2 - 1) AS n"
)


def million(place: Place, meter: Meter) -> AbstractAsyncContextManager[None]:
    """Reports out of a million lines."""
    return _reports(place, meter, 1_000_000)


def ten_million(place: Place, meter: Meter) -> AbstractAsyncContextManager[None]:
    """Reports out of ten million lines."""
    return _reports(place, meter, 10_000_000)


@asynccontextmanager
async def _reports(place: Place, meter: Meter, rows: int) -> AsyncIterator[None]:
    await _fill(place.database, rows)
    threads = ThreadPoolExecutor(os.cpu_count())
    sales = Sales(Secret(place.database), threads)
    await sales.start()
    with tempfile.TemporaryDirectory() as folder:
        maker = Maker(sales, Artifacts(Path(folder).as_uri()), threads)
        async with working(_make(maker, meter, rows), _watch(meter)):
            yield
    await sales.stop()


async def _make(maker: Maker, meter: Meter, rows: int) -> None:
    claim = Claim(
        report_id="bench",
        fence=1,
        kind="sales",
        first=_FIRST,
        end=_END,
        format="parquet",
        lease=60,
        remaining=600,
    )
    done = 0

    def tell(stage: str, percent: int) -> None:
        if stage == "extract":  # of which it is told in hundredths, up to 70
            meter.units = done + rows * percent // 70

    while True:
        began = time.monotonic()
        await maker.make(claim, tell)
        done += rows
        meter.units = done
        meter.figures["a_report_s"] = time.monotonic() - began


async def _watch(meter: Meter) -> None:
    process, most = psutil.Process(), 0
    before = process.memory_info().rss
    while True:
        most = max(most, process.memory_info().rss - before)
        meter.figures["peak_MB"] = most / (1 << 20)
        due = time.monotonic() + _LOOK
        await asyncio.sleep(_LOOK)
        late = (time.monotonic() - due) * 1000
        meter.figures["worst_lag_ms"] = max(meter.figures.get("worst_lag_ms", 0.0), late)


async def _fill(url: str, rows: int) -> None:
    """Make orders' own schema, and fill the live generation of its sales.

    Without the primary key, which no report reads and which takes long to fill.
    """
    database = Database(url, schema=ROOT / "services" / "orders" / "schema")
    await database.start()
    await database.stop()
    connection = await asyncpg.connect(url, server_settings={"statement_timeout": "0"})
    await connection.execute(
        "INSERT INTO weft.projections (name, generation, live) VALUES ('sales', 1, true)"
    )
    await connection.execute("ALTER TABLE sales DROP CONSTRAINT sales_pkey")
    await connection.execute("DROP INDEX sales_by_day")
    await connection.execute(_FILL, 1, rows, timeout=600)
    await connection.execute(
        "CREATE INDEX sales_by_day ON sales (generation, day, sku)", timeout=600
    )
    await connection.execute("VACUUM ANALYZE sales", timeout=600)
    await connection.close()
