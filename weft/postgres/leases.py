"""Leases: one of several instances is active, also when another is stopped or cut off."""

import os
import socket
import time

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

    async def release(self) -> None:
        """Let another take it at once. Raises Unavailable."""
        self._until = 0.0
        await self._db.execute(_RELEASE, self.name, self.epoch)
