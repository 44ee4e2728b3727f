"""asyncpg as its documentation uses it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from benchmarks.bench.subject import Meter, Place, working

SCHEMA: Final = (
    "CREATE TABLE products (sku text PRIMARY KEY, name text NOT NULL);"
    "INSERT INTO products SELECT 'SKU-' || n, 'name ' || n FROM generate_series(1, 1000) AS n"
)
SELECT: Final = "SELECT name FROM products WHERE sku = $1"
SKU: Final = "SKU-17"


@asynccontextmanager
async def bare(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Read the row."""
    async with asyncpg.create_pool(place.database, min_size=1, max_size=1) as pool:
        await pool.execute(SCHEMA)

        async def read() -> None:
            while True:
                await pool.fetchval(SELECT, SKU)
                meter.units += 1

        async with working(read()):
            yield
