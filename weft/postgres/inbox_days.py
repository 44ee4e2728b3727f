"""The inbox' partitions: one for each UTC day of UUIDv7 message ids."""

import datetime as dt
from collections.abc import Mapping
from uuid import UUID

import asyncpg

from weft.postgres.executor import Executor

DAYS = 7
"""How long a message's identity is remembered."""

AHEAD = 2
"""How many days ahead partitions are made; producers' clocks may run fast."""

_DAY_MS = 86_400_000
_PREFIX = "inbox_"
_LOCK = 0x57454655


def milliseconds(identity: UUID) -> int | None:
    """Return when a UUIDv7 was made, in ms since the epoch; None for another kind of UUID."""
    return identity.int >> 80 if identity.version == 7 else None  # noqa: PLR2004 - UUID version 7


def remembered(identity: UUID, now: float) -> bool:
    """Tell whether the inbox has, or should have, a partition for `identity` at `now` (s)."""
    made = milliseconds(identity)
    if made is None:
        return False
    today = int(now * 1000) // _DAY_MS
    return today - DAYS <= made // _DAY_MS <= today + AHEAD


async def make_and_drop(db: Executor, now: float) -> None:
    """Make the partitions from 7 days ago to 2 days ahead of `now` (s); drop older ones."""
    today = int(now * 1000) // _DAY_MS
    wanted = {_name(day): day for day in range(today - DAYS, today + AHEAD + 1)}
    rows = await db.fetch(
        "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid"
        " WHERE inhparent = 'weft.inbox'::regclass"
    )
    present = {row["relname"] for row in rows}
    if missing := sorted(wanted.keys() - present):
        await _make(db, {name: wanted[name] for name in missing})
    for name in sorted(name for name in present - wanted.keys() if name < min(wanted)):
        await _drop(db, name)


async def _make(db: Executor, days: Mapping[str, int]) -> None:
    # One statement, so that another instance cannot come between; ATTACH lets readers go on.
    await db.execute(
        f"DO $$ BEGIN PERFORM pg_advisory_xact_lock({_LOCK});"
        + "".join(
            f" IF to_regclass('weft.{name}') IS NULL THEN"
            f" CREATE TABLE weft.{name} (LIKE weft.inbox INCLUDING DEFAULTS INCLUDING INDEXES);"
            f" ALTER TABLE weft.inbox ATTACH PARTITION weft.{name}"
            f" FOR VALUES FROM ('{_first_of(day)}') TO ('{_first_of(day + 1)}'); END IF;"
            for name, day in days.items()
        )
        + " END $$"
    )


async def _drop(db: Executor, name: str) -> None:
    try:
        await db.execute(
            "DO $$ BEGIN PERFORM set_config('lock_timeout', '500', true);"
            f" DROP TABLE IF EXISTS weft.{name}; END $$"
        )
    except asyncpg.LockNotAvailableError:
        # Dropping waits for every transaction that uses the inbox and holds up new ones: later.
        return


def _name(day: int) -> str:
    return _PREFIX + (dt.date(1970, 1, 1) + dt.timedelta(days=day)).strftime("%Y%m%d")


def _first_of(day: int) -> UUID:
    return UUID(int=day * _DAY_MS << 80)
