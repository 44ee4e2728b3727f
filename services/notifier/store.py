"""The inbox, what was heard of each alert, and what each channel is still to deliver."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from asyncpg import Record

from services.notifier.domain import Alert, Known, Notice
from weft.postgres import Executor, Transaction

STORM_WINDOW: Final = timedelta(minutes=1)
_DAYS: Final = 30
"""How long the inbox keeps what was resolved."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message that this instance has claimed for a channel. `attempts` counts from 1 and fences;
    `age` is the seconds since the message was made."""

    id: int
    channel: str
    attempts: int
    age: float
    notice: Notice
    carrier: dict[str, str]


async def lock_group(tx: Transaction, group: str) -> None:
    """Let one at a time decide what is news of a group; until the transaction's end."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", group)


async def known(tx: Transaction, group: str) -> dict[str, Known]:
    """Return what was heard last of each alert of a group, by fingerprint."""
    rows = await tx.fetch(
        "SELECT fingerprint, status, starts_at, heard_at FROM alerts WHERE group_digest = $1", group
    )
    return {
        row["fingerprint"]: Known(
            status=row["status"], starts_at=row["starts_at"], heard_at=row["heard_at"]
        )
        for row in rows
    }


async def remember(tx: Transaction, group: str, alert: Alert, at: datetime) -> None:
    """Keep what was heard of an alert."""
    await tx.execute(
        """INSERT INTO alerts (group_digest, fingerprint, status, starts_at, heard_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (group_digest, fingerprint) DO UPDATE SET
            status = excluded.status, starts_at = excluded.starts_at, heard_at = excluded.heard_at
        """,
        group,
        alert.fingerprint,
        alert.status,
        alert.starts_at,
        at,
    )


async def is_firing(db: Executor, group: str) -> bool:
    """Whether people were told that something of the group fires, and not yet of its end."""
    firing: bool = await db.fetchval(
        "SELECT EXISTS (SELECT FROM alerts WHERE group_digest = $1 AND status = 'firing')", group
    )
    return firing


async def told_at(tx: Transaction, group: str) -> datetime | None:
    """Return when people were told of a group last."""
    at: datetime | None = await tx.fetchval(
        "SELECT max(at) FROM notices WHERE group_digest = $1", group
    )
    return at


async def put(
    tx: Transaction,
    group: str,
    notice: Notice,
    channels: Sequence[str],
    *,
    carrier: Mapping[str, str],
    storm_limit: int,
) -> None:
    """Put a message into the inbox, and a delivery for each channel: `held` where that channel had
    `storm_limit` of them within the last minute."""
    number = await tx.fetchval(
        """INSERT INTO notices
            (identity, group_digest, at, status, severity, title, alerts, carrier)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id""",
        notice.identity,
        group,
        notice.at,
        notice.status,
        notice.severity,
        notice.title,
        msgspec.json.encode(notice.alerts).decode(),
        msgspec.json.encode(dict(carrier)).decode(),
    )
    await tx.execute(
        """INSERT INTO deliveries (notice, channel, state, made_at, due_at)
        SELECT $1, channel, CASE WHEN (
                SELECT count(*) FROM deliveries d WHERE d.channel = c.channel
                    AND d.made_at > $3::timestamptz - $4::interval
                    AND d.state NOT IN ('held', 'counted')
            ) < $5 THEN 'waiting' ELSE 'held' END, $3, $3
        FROM unnest($2::text[]) AS c (channel)""",
        number,
        list(channels),
        notice.at,
        STORM_WINDOW,
        storm_limit,
    )


async def claim(db: Executor, channel: str, *, limit: int, lease: float) -> list[Delivery]:
    """Claim up to `limit` due messages of a channel for `lease` seconds, the oldest first."""
    rows = await db.fetch(
        """
        WITH claimed AS (
            UPDATE deliveries SET
                attempts = attempts + 1, due_at = now() + make_interval(secs => $3)
            WHERE channel = $1 AND notice IN (
                SELECT notice FROM deliveries
                WHERE channel = $1 AND state = 'waiting' AND due_at <= now()
                ORDER BY notice LIMIT $2 FOR UPDATE SKIP LOCKED
            )
            RETURNING notice, attempts
        )
        SELECT n.*, c.attempts, extract(epoch FROM now() - n.at)::float8 AS age
        FROM claimed c JOIN notices n ON n.id = c.notice ORDER BY n.id
        """,
        channel,
        limit,
        lease,
    )
    return [
        Delivery(
            id=row["id"],
            channel=channel,
            attempts=row["attempts"],
            age=row["age"],
            notice=_notice(row),
            carrier=msgspec.json.decode(row["carrier"], type=dict[str, str]),
        )
        for row in rows
    ]


async def settle(
    db: Executor, delivery: Delivery, *, state: str, error: str | None = None, due_in: float = 0.0
) -> None:
    """Record how an attempt ended; `waiting` is tried again in `due_in` seconds."""
    await db.execute(
        """UPDATE deliveries SET state = $4, error = $5,
            due_at = now() + make_interval(secs => $6)
        WHERE notice = $1 AND channel = $2 AND attempts = $3""",
        delivery.id,
        delivery.channel,
        delivery.attempts,
        state,
        error,
        due_in,
    )


async def count_held(tx: Transaction, channel: str, now: datetime) -> int:
    """Return how many messages a storm held back, once it is over (for a minute none), and take
    them for told of; 0 before."""
    stormy: bool = await tx.fetchval(
        """SELECT EXISTS (SELECT FROM deliveries
            WHERE channel = $1 AND state = 'held' AND made_at > $2::timestamptz - $3::interval)""",
        channel,
        now,
        STORM_WINDOW,
    )
    if stormy:
        return 0
    tag = await tx.execute(
        "UPDATE deliveries SET state = 'counted' WHERE channel = $1 AND state = 'held'", channel
    )
    return int(tag.rpartition(" ")[2])


async def page(db: Executor, *, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Return up to `limit` messages of the inbox, newest first, older than number `before`."""
    rows = await db.fetch(
        """SELECT n.*, (
            SELECT coalesce(jsonb_agg(jsonb_build_object('channel', d.channel, 'state', d.state,
                'attempts', d.attempts, 'error', d.error) ORDER BY d.channel), '[]')
            FROM deliveries d WHERE d.notice = n.id) AS deliveries
        FROM notices n WHERE $1::bigint IS NULL OR n.id < $1 ORDER BY n.id DESC LIMIT $2""",
        before,
        limit,
    )
    return [
        {
            "id": row["id"],
            **msgspec.structs.asdict(_notice(row)),
            "deliveries": msgspec.json.decode(row["deliveries"]),
        }
        for row in rows
    ]


async def tidy(db: Executor) -> None:
    """Forget what is over for a month."""
    await db.execute(f"DELETE FROM notices WHERE at < now() - interval '{_DAYS} days'")  # noqa: S608 - a constant
    await db.execute(
        f"DELETE FROM alerts WHERE status = 'resolved' AND heard_at < now() - interval '{_DAYS} days'"  # noqa: S608, E501 - a constant
    )


def _notice(row: Record) -> Notice:
    return Notice(
        identity=str(row["identity"]),
        at=row["at"],
        status=row["status"],
        severity=row["severity"],
        title=row["title"],
        alerts=msgspec.json.decode(row["alerts"], type=list[Alert]),
    )
