"""A transaction on one connection of the pool."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import asyncpg

from weft.errors import Unavailable
from weft.postgres.address import Address
from weft.postgres.errors import FAILURES, TransactionAborted
from weft.postgres.statement import Connection, end, is_closed, run


class Source(Protocol):
    """Lends connections."""

    @property
    def address(self) -> Address:
        """Where the connections lead."""

    async def acquire(self) -> Connection:
        """Lend one; raises Unavailable."""

    async def release(self, connection: Connection) -> None:
        """Take it back."""


class Opening(NamedTuple):
    """A statement without parameters that goes out with BEGIN, in one round trip.

    `told` is the same with its values left out, for telemetry.
    """

    sql: str
    told: str


class Transaction:
    """`async with` begins it; leaving commits, or rolls back on an exception.

    `opened` is the command tag of the `opening` statement, if one was given.

    Isolation is READ COMMITTED: each statement sees what was committed before it began. An
    Executor; one statement at a time.
    """

    __slots__ = ("_callbacks", "_connection", "_opening", "_source", "cause", "opened")

    def __init__(
        self, source: Source, *, cause: str | None = None, opening: Opening | None = None
    ) -> None:
        self._source = source
        self._opening = opening
        self._connection: Connection | None = None
        self._callbacks: list[Callable[[], None]] = []
        self.cause = cause
        self.opened = ""

    async def __aenter__(self) -> Self:
        connection = await self._source.acquire()
        try:
            self.opened = await self._begin(connection)
        except BaseException:
            await self._source.release(connection)
            raise
        self._connection = connection
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._connection = self._open(), None
        try:
            if error is None:
                await self._commit(connection)
            else:
                await self._roll_back(connection)
        finally:
            await self._source.release(connection)
        if error is None:
            for callback in self._callbacks:
                callback()

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
        """Call `callback` after the commit, never after a rollback. It must not raise."""
        self._callbacks.append(callback)

    async def _run(self, method: str, sql: str, args: tuple[Any, ...]) -> Any:
        connection = self._open()
        call: Callable[..., Awaitable[Any]] = getattr(connection, method)
        return await run(call, connection, self._source.address, sql, args)

    async def _begin(self, connection: Connection) -> str:
        address = self._source.address
        if self._opening is None:
            return await run(connection.execute, connection, address, "BEGIN", ())
        sql, told = (f"BEGIN; {text}" for text in self._opening)
        try:
            return await run(connection.execute, connection, address, sql, (), told=told)
        except BaseException:
            await self._roll_back(connection)
            raise

    async def _commit(self, connection: Connection) -> None:
        tag = await run(connection.execute, connection, self._source.address, "COMMIT", ())
        if tag != "COMMIT":
            raise TransactionAborted(f"COMMIT was answered with {tag}")

    async def _roll_back(self, connection: Connection) -> None:
        if is_closed(connection):
            return
        try:
            await run(connection.execute, connection, self._source.address, "ROLLBACK", ())
        except (Unavailable, *FAILURES):
            end(connection)

    def _open(self) -> Connection:
        if self._connection is None:
            raise asyncpg.InterfaceError("the transaction is not open")
        return self._connection
