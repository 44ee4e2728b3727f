"""What a statement can be run on: a Database (each statement commits) or a Transaction."""

from collections.abc import Callable
from typing import Any, Protocol

import asyncpg


class Executor(Protocol):
    """Statements with `$1`-style arguments. jsonb is text in both directions.

    Errors: Unavailable when the server is away or a deadline passed, TransactionConflict for a
    deadlock, asyncpg.PostgresError for what the statement did wrong.
    """

    @property
    def cause(self) -> str | None:
        """Id of the message that is being handled."""

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement; return its command tag, such as `UPDATE 1`."""

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Return all rows."""

    async def fetchrow(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """Return the first row."""

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first value of the first row."""

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once what was executed is committed: at once on a Database."""
