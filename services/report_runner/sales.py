"""Sales out of the orders' read model: copied in slices of days, summed in blocks of bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Final

import asyncpg
import polars as pl

from services.report_runner.transform import summed, together
from weft.errors import Unavailable
from weft.postgres.address import Address
from weft.postgres.errors import translate
from weft.postgres.statement import Connection
from weft.settings import Secret
from weft.telemetry import record

AT_ONCE: Final = 4
"""Connections of an instance: the role has 20 in all."""
BLOCK: Final = 4 << 20
"""Bytes that are summed at once."""
SLICES: Final = 32
"""Parts of a report's range, of whole days; the progress is told after each."""
_CONNECT_SECONDS: Final = 5.0
_LINES: Final = (
    "SELECT day, sku, name, quantity, amount_minor, currency FROM read_v1.sales"
    " WHERE day >= $1 AND day < $2"
)
_TOLD: Final = f"COPY ({_LINES}) TO STDOUT"


class Sales:
    """Component: reads the views of orders, as the role that can do nothing else."""

    def __init__(self, url: Secret, threads: Executor, *, name: str = "orders_read_model") -> None:
        self.name = name
        self._url = url
        self._threads = threads
        self._address = Address.of(url.reveal(), name)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def start(self) -> None:
        """Make the pool; connections are made when they are needed."""
        self._pool = await asyncpg.create_pool(
            self._url.reveal(),
            min_size=0,
            max_size=AT_ONCE,
            timeout=_CONNECT_SECONDS,
            server_settings={"application_name": "weft-report_runner"},
        )

    async def check(self) -> None:
        """Raise Unavailable unless the server answers."""
        async with self._connection() as connection:
            await connection.execute("SELECT 1")

    async def stop(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.terminate()

    async def sums(self, first: date, end: date, done: Callable[[float], None]) -> pl.DataFrame:
        """Return the sums per day and product from `first` to before `end`, of one snapshot.

        `done` is told the share that is read. Memory is bounded by the result, not by the lines.
        Raises Unavailable.
        """
        parts: list[pl.DataFrame] = []
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            for since, until in slices(first, end):
                parts += await self._slice(connection, since, until)
                done((until - first) / (end - first))
        return await self._in_thread(together, parts)

    async def _slice(self, connection: Connection, since: date, until: date) -> list[pl.DataFrame]:
        blocks = _Blocks(lambda block: self._in_thread(summed, block))
        call = record.sql(
            _TOLD,
            namespace=self._address.database,
            host=self._address.host,
            port=self._address.port,
        )
        try:
            await connection.copy_from_query(_LINES, since, until, output=blocks.add, format="text")
            await blocks.flush()
        except BaseException as error:
            call.end(error)
            raise
        call.end()
        return [await self._in_thread(together, blocks.sums)] if blocks.sums else []

    async def _in_thread(
        self, function: Callable[..., pl.DataFrame], *args: object
    ) -> pl.DataFrame:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        if self._pool is None:
            raise Unavailable(self.name, "not connected")
        try:
            async with self._pool.acquire() as connection:
                yield connection
        except Exception as error:
            raised = translate(error, self.name, closed=True)
            if raised is error:
                raise
            raise raised from error


class _Blocks:
    """Gathers what is copied into blocks of whole lines, and sums each."""

    def __init__(self, summed: Callable[[bytes], Awaitable[pl.DataFrame]]) -> None:
        self.sums: list[pl.DataFrame] = []
        self._sum = summed
        self._waiting = bytearray()

    async def add(self, data: bytes) -> None:
        self._waiting += data
        if len(self._waiting) >= BLOCK:
            whole = self._waiting.rfind(b"\n") + 1
            await self._take(whole)

    async def flush(self) -> None:
        if self._waiting:
            await self._take(len(self._waiting))

    async def _take(self, size: int) -> None:
        block = bytes(memoryview(self._waiting)[:size])
        del self._waiting[:size]
        if block:
            self.sums.append(await self._sum(block))


def slices(first: date, end: date) -> list[tuple[date, date]]:
    """Return the range in at most SLICES parts of whole days."""
    days = (end - first).days
    step = max(1, -(-days // SLICES))
    starts = [first + timedelta(days=n) for n in range(0, days, step)]
    return list(zip(starts, [*starts[1:], end], strict=True))
