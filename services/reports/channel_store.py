"""The SQL of users' channels."""

from datetime import datetime
from typing import Any, Final

import msgspec
from asyncpg import Record

from weft.postgres import Database, Executor

KEPT_HOURS: Final = 24
_AT_ONCE: Final = 1000


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a channel; its number, which is gapless for each user, is `seq`."""

    seq: int
    type: str
    id: str
    at: datetime
    data: Any
    traceparent: str


async def add(
    where: Executor, *, subject: str, kind: str, identity: str, data: str, traceparent: str
) -> tuple[int, datetime]:
    """Store a message; return its number and time. Locks the user's channel until the commit."""
    row = await where.fetchrow(
        """
        WITH given AS (
            INSERT INTO channels AS c (subject, seq) VALUES ($1, 1)
            ON CONFLICT (subject) DO UPDATE SET seq = c.seq + 1 RETURNING seq
        )
        INSERT INTO channel_messages (subject, seq, type, id, at, data, traceparent)
        SELECT $1, seq, $2, $3, clock_timestamp(), $4, $5 FROM given RETURNING seq, at
        """,
        subject,
        kind,
        identity,
        data,
        traceparent,
    )
    if row is None:
        raise RuntimeError("no row was inserted")
    return row["seq"], row["at"]


async def head(db: Executor, subject: str) -> int:
    """Return the newest number of a channel, 0 for one without messages."""
    seq = await db.fetchval("SELECT seq FROM channels WHERE subject = $1", subject)
    return int(seq or 0)


async def heads(db: Executor, subjects: list[str]) -> dict[str, int]:
    """Return the newest number of each channel that has one."""
    rows = await db.fetch(
        "SELECT subject, seq FROM channels WHERE subject = ANY($1::text[])", subjects
    )
    return {row["subject"]: row["seq"] for row in rows}


async def after(db: Executor, subject: str, seq: int, *, limit: int) -> list[Stored]:
    """Return up to `limit` messages after number `seq`, in order."""
    rows = await db.fetch(
        """
        SELECT seq, type, id, at, data, traceparent FROM channel_messages
        WHERE subject = $1 AND seq > $2 ORDER BY seq LIMIT $3
        """,
        subject,
        seq,
        limit,
    )
    return [_stored(row) for row in rows]


async def delete_old(db: Database) -> None:
    """Delete messages older than a day, and tickets that nobody used."""
    await db.execute("DELETE FROM channel_tickets WHERE expires_at < now()")
    tag = f"DELETE {_AT_ONCE}"
    while tag == f"DELETE {_AT_ONCE}":
        tag = await db.execute(
            """
            DELETE FROM channel_messages WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM channel_messages
                WHERE at < now() - make_interval(hours => $1) ORDER BY at LIMIT $2))
            """,
            KEPT_HOURS,
            _AT_ONCE,
        )


async def add_ticket(
    db: Executor, hash_: bytes, *, subject: str, until: float, seconds: float
) -> datetime:
    """Store a ticket that holds for `seconds`; return when it ends."""
    expires_at: datetime = await db.fetchval(
        """
        INSERT INTO channel_tickets (hash, subject, until, expires_at)
        VALUES ($1, $2, $3, now() + make_interval(secs => $4)) RETURNING expires_at
        """,
        hash_,
        subject,
        until,
        seconds,
    )
    return expires_at


async def use_ticket(db: Executor, hash_: bytes) -> tuple[str, float] | None:
    """Use up a ticket; return its subject and the end of its token, None if it does not hold."""
    row = await db.fetchrow(
        """
        DELETE FROM channel_tickets WHERE hash = $1
        RETURNING subject, until, expires_at > now() AS holds
        """,
        hash_,
    )
    return (row["subject"], row["until"]) if row is not None and row["holds"] else None


def _stored(row: Record) -> Stored:
    return Stored(**dict(row) | {"data": msgspec.Raw(row["data"].encode())})
