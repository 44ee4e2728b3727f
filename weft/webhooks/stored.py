"""Webhooks as rows: stored with their cause, claimed for an attempt, settled after it."""

from collections.abc import Mapping
from typing import Final

import msgspec

from weft.postgres import Database, Executor
from weft.webhooks.posting import Answer

_WHOSE: Final = {"endpoint": "e.name = $1", "owner": "e.owner = $1"}
# FOR SHARE: an endpoint that is being disabled at this moment is waited for.
_ADD: Final = (
    "INSERT INTO weft.webhooks (endpoint, id, type, body, carrier)"
    " SELECT name, $2, $3, $4, $5 FROM (SELECT e.name FROM weft.webhook_endpoints e"
    " WHERE {whose} AND e.disabled_at IS NULL AND (e.owner IS NULL OR EXISTS (SELECT FROM"
    " unnest(e.events) AS p WHERE p = $3 OR (p LIKE '%.*' AND starts_with($3, left(p, -1)))))"
    " FOR SHARE) AS hearing ON CONFLICT DO NOTHING"
)
_PEEK: Final = (
    "SELECT extract(epoch FROM min(next_attempt_at) - clock_timestamp())::float8"
    " FROM weft.webhooks WHERE next_attempt_at IS NOT NULL"
)
# $1, $2: endpoints with attempts under way in this process, and how many; $3: how many an endpoint
# may have; $4: how many in all; $5: the lease.
_CLAIM: Final = (
    "WITH due AS MATERIALIZED (SELECT one.endpoint, one.id, e.url, e.guarded"
    " FROM weft.webhook_endpoints e"
    " LEFT JOIN unnest($1::text[], $2::int[]) AS busy (endpoint, n) ON busy.endpoint = e.name"
    " CROSS JOIN LATERAL (SELECT w.endpoint, w.id, w.next_attempt_at FROM weft.webhooks w"
    " WHERE w.endpoint = e.name AND w.next_attempt_at <= statement_timestamp()"
    " ORDER BY w.next_attempt_at LIMIT greatest(0, $3 - coalesce(busy.n, 0))"
    " FOR UPDATE SKIP LOCKED) AS one"
    " WHERE e.disabled_at IS NULL ORDER BY one.next_attempt_at LIMIT $4)"
    " UPDATE weft.webhooks w SET attempts = w.attempts + 1,"
    " next_attempt_at = clock_timestamp() + make_interval(secs => $5)"
    " FROM due WHERE w.endpoint = due.endpoint AND w.id = due.id"
    " RETURNING w.endpoint, w.id, w.type, w.body, w.carrier, w.attempts,"
    " w.attempts - w.replayed_after AS tries, due.url, due.guarded"
)
# An endpoint that was disabled meanwhile gets no further attempt.
_SETTLE: Final = (
    "WITH settled AS (UPDATE weft.webhooks w SET"
    " state = CASE WHEN $4 = 'pending' AND e.disabled_at IS NOT NULL THEN 'failed' ELSE $4 END,"
    " next_attempt_at = CASE WHEN $4 = 'pending' AND e.disabled_at IS NULL"
    " THEN clock_timestamp() + make_interval(secs => $5) END,"
    " ended_at = CASE WHEN $4 = 'pending' AND e.disabled_at IS NULL THEN NULL ELSE now() END"
    " FROM weft.webhook_endpoints e WHERE e.name = w.endpoint"
    " AND w.endpoint = $1 AND w.id = $2 AND w.attempts = $3 RETURNING w.id)"
    " INSERT INTO weft.webhook_attempts (endpoint, id, number, at, seconds, status, error)"
    " SELECT $1, $2, $3, clock_timestamp() - make_interval(secs => $6), $6, $7, $8 FROM settled"
)
_PENDING: Final = (
    "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8"
    " FROM weft.webhooks WHERE next_attempt_at IS NOT NULL"
)


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that this process is to send now. `tries` counts from 1 since a replay."""

    endpoint: str
    id: str
    type: str
    body: bytes
    carrier: dict[str, str]
    attempts: int
    tries: int
    url: str
    guarded: bool


async def add(
    where: Executor, whose: str, name: str, identity: str, kind: str, body: bytes, carrier: str
) -> int:
    """Store a webhook for an endpoint, or an owner's endpoints that hear `kind`; return how many.

    `whose` is `endpoint` or `owner`. One that was stored before is not stored again.
    """
    sql = _ADD.format(whose=_WHOSE[whose])
    tag = await where.execute(sql, name, identity, kind, body, carrier)
    return int(tag.rpartition(" ")[2])


async def due_in(db: Database) -> float | None:
    """Return the seconds until the next attempt is due, None if nothing is pending."""
    seconds: float | None = await db.fetchval(_PEEK)
    return seconds


async def claim(
    db: Database, busy: Mapping[str, int], *, each: int, limit: int, lease: float
) -> list[Claimed]:
    """Claim what is due, for `lease` seconds: up to `limit`, at most `each` of an endpoint."""
    rows = await db.fetch(_CLAIM, list(busy), list(busy.values()), each, limit, lease)
    return [Claimed(**dict(row) | {"carrier": msgspec.json.decode(row["carrier"])}) for row in rows]


async def settle(
    db: Executor, one: Claimed, answer: Answer, *, state: str, again_in: float, seconds: float
) -> None:
    """Record an attempt and what follows from it, unless another one has begun meanwhile."""
    await db.execute(
        _SETTLE,
        one.endpoint,
        one.id,
        one.attempts,
        state,
        again_in,
        seconds,
        answer.status,
        answer.error,
    )


async def pending(db: Database) -> tuple[int, float]:
    """Return how many wait, and the age of the oldest in seconds."""
    row = await db.fetchrow(_PENDING)
    return (0, 0.0) if row is None else (row[0], row[1])
