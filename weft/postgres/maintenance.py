"""What a database needs now and then: inbox partitions made and dropped, old keys deleted."""

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
_KEY_HOURS = 24
_KEYS_AT_ONCE = 1000


class Maintenance:
    """Runs once at the start, then every hour (with jitter)."""

    def __init__(self, db: Executor) -> None:
        self._db = db
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Do what is due now. Raises Unavailable."""
        await inbox_days.make_and_drop(self._db, time.time())
        more = True
        while more:
            more = await self._delete_old_keys()

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

    async def _delete_old_keys(self) -> bool:
        tag = await self._db.execute(
            "DELETE FROM weft.idempotency_keys WHERE ctid = ANY(ARRAY("
            " SELECT ctid FROM weft.idempotency_keys"
            " WHERE created_at < now() - make_interval(hours => $1)"
            " ORDER BY created_at LIMIT $2))",
            _KEY_HOURS,
            _KEYS_AT_ONCE,
        )
        return tag == f"DELETE {_KEYS_AT_ONCE}"
