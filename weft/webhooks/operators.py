"""Looking at stored webhooks, and sending them once more by hand."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias

import asyncpg
import msgspec

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
STATES: Final = ("pending", "delivered", "failed")

_LIST: Final = """
SELECT w.endpoint, e.owner, e.disabled_why, w.id, w.type, w.state, w.attempts, w.created_at,
    w.next_attempt_at, last.status, last.error,
    coalesce(split_part(w.carrier ->> 'traceparent', '-', 2), '') AS trace_id
FROM weft.webhooks w JOIN weft.webhook_endpoints e ON e.name = w.endpoint
LEFT JOIN LATERAL (
    SELECT a.status, a.error FROM weft.webhook_attempts a
    WHERE a.endpoint = w.endpoint AND a.id = w.id ORDER BY a.number DESC LIMIT 1
) AS last ON true
WHERE w.state = ANY($1::text[]) ORDER BY w.created_at DESC LIMIT $2
"""
_REPLAY: Final = """
WITH chosen AS MATERIALIZED (
    SELECT w.endpoint, w.id FROM weft.webhooks w
    JOIN weft.webhook_endpoints e ON e.name = w.endpoint
    WHERE w.state <> 'pending' AND (e.disabled_at IS NULL OR $2)
    AND (w.id = $1 OR (w.endpoint = $1 AND w.state = 'failed')) FOR UPDATE
), enabled AS (
    UPDATE weft.webhook_endpoints SET disabled_at = NULL, disabled_why = NULL
    WHERE disabled_at IS NOT NULL AND name IN (SELECT endpoint FROM chosen)
)
UPDATE weft.webhooks w SET state = 'pending', replayed_after = w.attempts, ended_at = NULL,
    next_attempt_at = clock_timestamp()
FROM chosen WHERE w.endpoint = chosen.endpoint AND w.id = chosen.id
"""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as it is stored; `status` and `error` are those of its last attempt."""

    endpoint: str
    owner: str | None
    disabled_why: str | None
    id: str
    type: str
    state: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    status: int | None
    error: str | None
    trace_id: str


async def listed(connection: Connection, *, states: Sequence[str], limit: int) -> list[Sent]:
    """Return webhooks in one of `states`, newest first."""
    rows = await connection.fetch(_LIST, list(states), limit)
    return [Sent(**dict(row)) for row in rows]


async def replay(connection: Connection, which: str, *, force: bool) -> int:
    """Have a webhook (by id) sent again, or all that have failed of an endpoint; return how many.

    The schedule begins anew, the id stays. `force` enables an endpoint that is disabled; without,
    its webhooks are left alone.
    """
    tag = await connection.execute(_REPLAY, which, force)
    return int(tag.rpartition(" ")[2])
