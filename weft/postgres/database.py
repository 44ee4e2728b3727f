"""A service's database: a bounded pool, its schema, its statements."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from weft.errors import Unavailable
from weft.messaging.backoff import Backoff
from weft.postgres import pool_metrics
from weft.postgres.address import Address
from weft.postgres.errors import FAILURES, translate
from weft.postgres.maintenance import Maintenance
from weft.postgres.migrations import Schema, migrate
from weft.postgres.signals import Signals
from weft.postgres.statement import Connection, end, run
from weft.postgres.transaction import Opening, Transaction
from weft.settings import Secret
from weft.telemetry import get_logger

log = get_logger(__name__)

_IDLE_IN_TRANSACTION_MS = 5_000
_TRANSACTION_MS = 10_000
_TRANSACTION_TIMEOUT_SINCE = 17


class Database:
    """Component and Executor: single statements, each in a transaction of its own.

    `schema` is the folder of the service's migrations (NNNN_name.sql, run in `public`; the chassis'
    tables are in `weft`), or a list of their texts. Seconds: `statement_timeout` bounds each
    statement on both sides, `acquire_timeout` the wait for a turn in the pool, `connect_timeout`
    that for a new connection. A transaction that waits for its client is ended by the server after
    5 s; from PostgreSQL 17 on each after 10 s in all.
    """

    cause = None

    def __init__(
        self,
        url: str | Secret,
        *,
        schema: Schema | None = None,
        pool_size: int = 10,
        name: str = "postgres",
        statement_timeout: float = 5.0,
        acquire_timeout: float = 8.0,
        connect_timeout: float = 2.0,
    ) -> None:
        self._url = url if isinstance(url, Secret) else Secret(url)
        self._schema = schema
        self._pool_size = pool_size
        self._statement_timeout = statement_timeout
        self._acquire_timeout = acquire_timeout
        self._connect_timeout = connect_timeout
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._maintenance = Maintenance(self)
        self.name = name
        self.address = Address.of(self._url.reveal(), name)
        self.signals = Signals()

    async def start(self) -> None:
        """Wait for the server, then migrate. Raises MigrationError, never for an absent server."""
        backoff, told = Backoff(), False
        while True:
            try:
                await self._open()
            except Unavailable as error:
                if not told:
                    log.warning("database is not available, waiting", **{"weft.why": error.why})
                told = True
            else:
                break
            await asyncio.sleep(backoff.next())
        if told:
            log.info("database is available")
        self._maintenance.start()

    async def check(self) -> None:
        """Raise Unavailable unless the server answers a statement."""
        await self.fetchval("SELECT 1")

    async def stop(self) -> None:
        """Wait until every connection has been given back, then close them."""
        await self._maintenance.stop()
        pool_metrics.forget(self.name)
        if self._pool is None:
            return
        try:
            await self._pool.close()
        except asyncio.CancelledError:
            self._pool.terminate()
            raise
        finally:
            self._pool = None

    def transaction(
        self, *, cause: str | None = None, opening: Opening | None = None
    ) -> Transaction:
        """Return a transaction for `async with`; `cause` is the id of the message it handles."""
        return Transaction(self, cause=cause, opening=opening)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement; return its command tag."""
        tag: str = await self._run("execute", sql, args)
        return tag

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Return all rows."""
        rows: list[asyncpg.Record] = await self._run("fetch", sql, args)
        return rows

    async def fetchrow(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """Return the first row."""
        row: asyncpg.Record | None = await self._run("fetchrow", sql, args)
        return row

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first value of the first row."""
        return await self._run("fetchval", sql, args)

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` at once: what was executed here is committed."""
        callback()

    async def acquire(self) -> Connection:
        """Lend a connection of the pool. Raises Unavailable after `acquire_timeout`."""
        if self._pool is None:
            raise Unavailable(self.name, "not connected")
        try:
            return await self._pool.acquire(timeout=self._acquire_timeout)
        except Exception as error:
            raise self._translated(error) from error

    async def release(self, connection: Connection) -> None:
        """Take a connection back; a transaction that is still open on it is rolled back."""
        if self._pool is None:
            end(connection)
            return
        try:
            await self._pool.release(connection, timeout=self._connect_timeout)
        except FAILURES:
            # The pool has ended the connection and will make a new one.
            log.debug("a connection was lost on its way back to the pool")

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Return a connection outside the pool, which the caller closes. Raises Unavailable."""
        try:
            return await asyncpg.connect(self._url.reveal(), **self._connecting())
        except Exception as error:
            raise self._translated(error) from error

    async def _run(self, method: str, sql: str, args: tuple[Any, ...]) -> Any:
        connection = await self.acquire()
        try:
            call: Callable[..., Awaitable[Any]] = getattr(connection, method)
            return await run(call, connection, self.address, sql, args)
        finally:
            await self.release(connection)

    async def _open(self) -> None:
        connection = await self.connect()
        try:
            await migrate(connection, self._schema)
        except Exception as error:
            raise self._translated(error) from error
        finally:
            connection.terminate()
        self._pool = await asyncpg.create_pool(
            self._url.reveal(),
            min_size=0,
            max_size=self._pool_size,
            command_timeout=self._statement_timeout + 1,
            init=_bound_transactions,
            reset=_nothing_to_reset,
            **self._connecting(),
        )
        try:
            await self._maintenance.run()
        except Unavailable:
            self._pool.terminate()
            self._pool = None
            raise
        pool_metrics.watch(self.name, self._pool)

    def _connecting(self) -> dict[str, Any]:
        milliseconds = str(int(self._statement_timeout * 1000))
        return {
            "timeout": self._connect_timeout,
            "server_settings": {
                "application_name": f"weft-{self.name}",
                "statement_timeout": milliseconds,
                "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_MS),
            },
        }

    def _translated(self, error: Exception) -> BaseException:
        return translate(error, self.name, closed=True)


async def _bound_transactions(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    if connection.get_server_version().major >= _TRANSACTION_TIMEOUT_SINCE:
        await connection.execute(f"SET transaction_timeout = {_TRANSACTION_MS}")


async def _nothing_to_reset(_: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Save the statement that asyncpg resets a session with: ours change no session state."""
