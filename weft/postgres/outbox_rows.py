"""The outbox as the relay sees it: what is to be published, and what became of it."""

import random
from collections.abc import Sequence

import asyncpg
import msgspec

from weft.messaging.message import Outgoing
from weft.postgres.database import Database
from weft.postgres.dispatch import Dispatched, Row

LONGEST_WAIT = 30.0
"""Seconds between the attempts at a message that the broker refuses again and again."""

_FIRST_WAIT = 0.5
_COUNTED = 100_000

_ROW = (
    "id, ordering_key, attempts, message_id::text, exchange, routing_key, type, version, body,"
    " headers, correlation_id, reply_to, priority, mandatory, extract(epoch FROM at)::float8 AS at"
)
# ruff's S608 does not see that no part of these comes from outside.
_FETCH = (
    f"(SELECT {_ROW}, false AS held FROM weft.outbox"  # noqa: S608
    " WHERE next_attempt_at <= now() ORDER BY next_attempt_at LIMIT $1)"
    " UNION ALL"
    f" (SELECT {_ROW}, EXISTS (SELECT 1 FROM weft.outbox h WHERE h.ordering_key = o.ordering_key"
    " AND h.id < o.id AND h.next_attempt_at IS NOT NULL) AS held"
    " FROM weft.outbox o WHERE next_attempt_at IS NULL ORDER BY id LIMIT $1)"
)
_OURS = "EXISTS (SELECT 1 FROM weft.leases WHERE name = $1 AND epoch = $2)"
_DELETE = f"DELETE FROM weft.outbox WHERE id = ANY($3::bigint[]) AND {_OURS}"  # noqa: S608
_POSTPONE = (
    "UPDATE weft.outbox o SET attempts = attempts + 1,"  # noqa: S608
    " next_attempt_at = now() + make_interval(secs => r.wait)"
    f" FROM unnest($3::bigint[], $4::float8[]) AS r(id, wait) WHERE o.id = r.id AND {_OURS}"
)
_HOLD = (
    "UPDATE weft.outbox SET next_attempt_at = 'infinity'"  # noqa: S608
    f" WHERE id = ANY($3::bigint[]) AND {_OURS}"
)
_FREE = (
    "UPDATE weft.outbox o SET next_attempt_at = NULL"  # noqa: S608
    f" WHERE o.next_attempt_at = 'infinity' AND {_OURS} AND NOT EXISTS"
    " (SELECT 1 FROM weft.outbox h WHERE h.ordering_key = o.ordering_key AND h.id < o.id"
    " AND h.next_attempt_at < 'infinity')"
)
_BACKLOG = (
    "SELECT (SELECT count(*) FROM (SELECT 1 FROM weft.outbox LIMIT $1) AS o) AS rows,"
    " coalesce((SELECT extract(epoch FROM clock_timestamp() - at) FROM weft.outbox"
    " ORDER BY id LIMIT 1), 0)::float8 AS age"
)


class OutboxRows:
    """Statements of the relay that holds `lease` in `epoch`; those of an older epoch do nothing."""

    def __init__(self, db: Database, lease: str, epoch: int) -> None:
        self._db = db
        self._fence = (lease, epoch)

    async def fetch(self, limit: int) -> tuple[list[Row], list[int]]:
        """Return what can be published now, in order, and the ids of rows to hold.

        At most `limit` new rows, and as many whose next attempt is due. To be held are new rows of
        a key of which an earlier row was refused.
        """
        records = await self._db.fetch(_FETCH, limit)
        ready = [_row(record) for record in records if not record["held"]]
        return ready, [record["id"] for record in records if record["held"]]

    async def settle(self, dispatched: Dispatched, held: Sequence[int]) -> bool:
        """Write down what became of the rows. Return False if somebody else has done it for some.

        That is so when the lease was lost without our knowing.
        """
        deleted = await self._delete(dispatched.confirmed)
        if dispatched.refused:
            ids = [row.id for row, _ in dispatched.refused]
            waits = [_wait(row.attempts) for row, _ in dispatched.refused]
            await self._db.execute(_POSTPONE, *self._fence, ids, waits)
        if waiting := [*held, *(row.id for row in dispatched.waiting)]:
            await self._db.execute(_HOLD, *self._fence, waiting)
        if any(row.attempts and row.key is not None for row in dispatched.confirmed):
            await self.free()
        return deleted

    async def free(self) -> None:
        """Make ready again what waits for no refused row of its key any more."""
        await self._db.execute(_FREE, *self._fence)

    async def backlog(self) -> tuple[int, float]:
        """Return the number of rows, counted up to 100000, and the age of the first in seconds."""
        row = await self._db.fetchrow(_BACKLOG, _COUNTED)
        return (row["rows"], row["age"]) if row else (0, 0.0)

    async def _delete(self, confirmed: Sequence[Row]) -> bool:
        if not confirmed:
            return True
        ids = [row.id for row in confirmed]
        return await self._db.execute(_DELETE, *self._fence, ids) == f"DELETE {len(ids)}"


def _wait(attempts: int) -> float:
    bound = min(_FIRST_WAIT * 2.0 ** min(attempts, 10), LONGEST_WAIT)
    return bound * random.uniform(0.5, 1)


def _row(record: asyncpg.Record) -> Row:
    message = Outgoing(
        id=record["message_id"],
        exchange=record["exchange"],
        routing_key=record["routing_key"],
        type=record["type"],
        version=record["version"],
        body=record["body"],
        correlation_id=record["correlation_id"],
        reply_to=record["reply_to"],
        headers=msgspec.json.decode(record["headers"], type=dict[str, str | int]),
        mandatory=record["mandatory"],
        priority=record["priority"],
        at=record["at"],
    )
    return Row(record["id"], record["ordering_key"], record["attempts"], message)
