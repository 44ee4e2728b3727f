"""Waking the active relay: in this process by an event, in another instance by NOTIFY."""

import asyncio
import contextlib
from contextvars import Context
from typing import Any

import asyncpg

from weft.errors import Unavailable
from weft.postgres.database import Database

CHANNEL = "weft_outbox"
INTERVAL = 0.01
"""Seconds between two NOTIFY of one instance: each takes a lock of the whole server at commit."""


class Notifier:
    """Sends NOTIFY, at most one in 10 ms. A lost one is made good by the relay's poll."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._task: asyncio.Task[None] | None = None

    def notify(self) -> None:
        """Send one within 10 ms, for all calls until then."""
        if self._task is None:
            self._task = asyncio.create_task(self._send(), context=Context())

    async def stop(self) -> None:
        """Wait for the one that is under way."""
        if self._task is not None:
            await self._task

    async def _send(self) -> None:
        await asyncio.sleep(INTERVAL)
        self._task = None
        with contextlib.suppress(Unavailable):
            await self._db.execute("SELECT pg_notify($1, '')", CHANNEL)


class Listener:
    """A connection of its own that sets `event` on each NOTIFY."""

    def __init__(self, db: Database, event: asyncio.Event) -> None:
        self._db = db
        self._event = event
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def ensure(self) -> None:
        """Connect if not connected. Raises Unavailable."""
        if self._connection is not None and not self._connection.is_closed():
            return
        self._connection = connection = await self._db.connect()
        await connection.add_listener(CHANNEL, self._heard)

    async def stop(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def _heard(self, *_: Any) -> None:
        self._event.set()
