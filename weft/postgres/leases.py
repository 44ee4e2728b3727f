"""Leases: one of several instances is active, also when another is stopped or cut off."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator

from weft.errors import Unavailable
from weft.ids import uuid7
from weft.postgres.database import Database

TTL = 1.5
"""Seconds that a lease lasts without being renewed."""

# The outer SELECT sees the row as it was before the statement.
_ACQUIRE = (
    "WITH taken AS (INSERT INTO weft.leases AS l (name, holder, epoch, expires_at)"
    " VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))"
    " ON CONFLICT (name) DO UPDATE SET holder = $2, epoch = l.epoch + 1,"
    " expires_at = clock_timestamp() + make_interval(secs => $3)"
    " WHERE l.expires_at < clock_timestamp() RETURNING epoch)"
    " SELECT (SELECT epoch FROM taken) AS epoch, (SELECT"
    " extract(epoch FROM expires_at - clock_timestamp())::float8 FROM weft.leases WHERE name = $1)"
    " AS remaining"
)
_RENEW = (
    "UPDATE weft.leases SET expires_at = clock_timestamp() + make_interval(secs => $3)"
    " WHERE name = $1 AND epoch = $2 RETURNING epoch"
)
_RELEASE = "UPDATE weft.leases SET expires_at = 'epoch' WHERE name = $1 AND epoch = $2"


class Lease:
    """A row that names the active instance. Each holder has a new, higher epoch.

    What the holder does must carry the epoch where a holder that lost its lease without knowing
    could do harm. Time is the server's, and for `held` this process' monotonic clock.
    """

    def __init__(self, db: Database, name: str, *, ttl: float = TTL) -> None:
        self._db = db
        self._ttl = ttl
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid7()}"
        self._until = 0.0
        self.name = name
        self.epoch = 0
        self.remaining = 0.0
        """After an `acquire` in vain: seconds until the other's lease ends unless it is renewed."""

    @property
    def held(self) -> bool:
        """Whether the lease is surely ours at this moment."""
        return time.monotonic() < self._until

    async def acquire(self) -> bool:
        """Take the lease if nobody holds it. Raises Unavailable."""
        asked = time.monotonic()
        row = await self._db.fetchrow(_ACQUIRE, self.name, self._holder, self._ttl)
        if row is None or row["epoch"] is None:
            self.remaining = max(0.0, (row and row["remaining"]) or 0.0)
            return False
        self.epoch = row["epoch"]
        self._until = asked + self._ttl
        return True

    async def renew(self) -> bool:
        """Hold it for another ttl; False, and not held any more, if another has taken it."""
        asked = time.monotonic()
        renewed = await self._db.fetchval(_RENEW, self.name, self.epoch, self._ttl) is not None
        self._until = asked + self._ttl if renewed else 0.0
        return renewed

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew the lease that was acquired while this is entered, then release it.

        Whoever enters asks `held` before each step: another may take it all the same.
        """
        renewing = asyncio.create_task(self._keep_renewing())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            with contextlib.suppress(Unavailable):
                await self.release()

    async def release(self) -> None:
        """Let another take it at once. Raises Unavailable."""
        self._until = 0.0
        await self._db.execute(_RELEASE, self.name, self.epoch)

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._ttl / 3)
            with contextlib.suppress(Unavailable):
                if not await self.renew():
                    return
