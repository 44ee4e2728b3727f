"""What a database needs now and then: inbox partitions made and dropped, old rows deleted."""

import asyncio
import random
import time

import asyncpg

from weft.errors import WeftError
from weft.postgres import inbox_days
from weft.postgres.executor import Executor
from weft.telemetry import get_logger

log = get_logger(__name__)

INTERVAL = 3600.0
_AT_ONCE = 1000
_OLD = (
    ("idempotency_keys", "created_at", 24),
    ("webhooks", "ended_at", 7 * 24),
    ("webhook_receipts", "at", 7 * 24),
)
"""Tables of the chassis, the column of a row's age, and the hours after which it is deleted."""


class Maintenance:
    """Runs once at the start, then every hour (with jitter)."""

    def __init__(self, db: Executor) -> None:
        self._db = db
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Do what is due now. Raises Unavailable."""
        await inbox_days.make_and_drop(self._db, time.time())
        for table, column, hours in _OLD:
            while await self._delete(table, column, hours):
                pass

    def start(self) -> None:
        """Go on in the background."""
        self._task = asyncio.create_task(self._repeat(), name="postgres-maintenance")

    async def stop(self) -> None:
        """End the background task."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL * random.uniform(0.9, 1.1))
            try:
                await self.run()
            except (WeftError, asyncpg.PostgresError) as error:
                log.exception("database maintenance failed, trying again in an hour", error)

    async def _delete(self, table: str, column: str, hours: int) -> bool:
        """Delete some rows that are too old; return whether there may be more."""
        tag = await self._db.execute(
            f"DELETE FROM weft.{table} WHERE ctid = ANY(ARRAY("  # noqa: S608 - names of _OLD
            f" SELECT ctid FROM weft.{table} WHERE {column} < now() - make_interval(hours => $1)"
            f" ORDER BY {column} LIMIT $2))",
            hours,
            _AT_ONCE,
        )
        return tag == f"DELETE {_AT_ONCE}"
