"""Where webhooks go: endpoints as rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from asyncpg import Record

from weft.ids import uuid7
from weft.postgres import Executor, Transaction

# A name keeps its address' guard: what a customer registered never becomes one of ours.
_PUT: Final = (
    "INSERT INTO weft.webhook_endpoints AS e (name, url, guarded) VALUES ($1, $2, false)"
    " ON CONFLICT (name) DO UPDATE SET url = $2, disabled_at = NULL, disabled_why = NULL"
    " WHERE e.owner IS NULL"
)
_REGISTER: Final = (
    "INSERT INTO weft.webhook_endpoints (name, owner, url, events, guarded)"
    " VALUES ($1, $2, $3, $4, true) RETURNING name, url, events, disabled_why, created_at"
)
_LOCK_OWNER: Final = "SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || $1, 0))"
_COUNT: Final = "SELECT count(*) FROM weft.webhook_endpoints WHERE owner = $1"
_LIST: Final = (
    "SELECT name, url, events, disabled_why, created_at FROM weft.webhook_endpoints"
    " WHERE owner = $1 ORDER BY name DESC"
)
_DELETE: Final = "DELETE FROM weft.webhook_endpoints WHERE owner = $1 AND name = $2"
_DISABLE: Final = (
    "WITH ended AS (UPDATE weft.webhooks SET state = 'failed', next_attempt_at = NULL,"
    " ended_at = now() WHERE endpoint = $1 AND state = 'pending')"
    " UPDATE weft.webhook_endpoints SET disabled_at = now(), disabled_why = $2"
    " WHERE name = $1 AND disabled_at IS NULL"
)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer registered. `disabled_why` is None while webhooks are sent there."""

    name: str
    url: str
    events: tuple[str, ...]
    disabled_why: str | None
    created_at: datetime


async def put(where: Executor, name: str, url: str) -> None:
    """Make or change an endpoint of the mesh; a disabled one is enabled again."""
    await where.execute(_PUT, name, url)


async def register(
    tx: Transaction, owner: str, url: str, events: Sequence[str], *, limit: int
) -> Endpoint | None:
    """Store an endpoint of a customer; None if `owner` has `limit` of them already.

    `events` are types, or beginnings of types that end with `.*`.
    """
    await tx.execute(_LOCK_OWNER, owner)
    if await tx.fetchval(_COUNT, owner) >= limit:
        return None
    row = await tx.fetchrow(_REGISTER, uuid7(), owner, url, list(events))
    return None if row is None else _endpoint(row)


async def owned(where: Executor, owner: str) -> list[Endpoint]:
    """Return a customer's endpoints, newest first."""
    return [_endpoint(row) for row in await where.fetch(_LIST, owner)]


async def delete(where: Executor, owner: str, name: str) -> bool:
    """Forget a customer's endpoint and all that was to be sent there; False if there is none."""
    return await where.execute(_DELETE, owner, name) == "DELETE 1"


async def disable(where: Executor, name: str, why: str) -> None:
    """Send nothing to an endpoint any more; what was pending has failed."""
    await where.execute(_DISABLE, name, why)


def _endpoint(row: Record) -> Endpoint:
    return Endpoint(**dict(row) | {"events": tuple(row["events"])})
