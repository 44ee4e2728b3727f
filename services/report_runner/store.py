"""The SQL of report_runner: how many workers there should be, and who is there to run them."""

from typing import Final

import msgspec

from weft.postgres import Executor

_GONE: Final = 3.0
"""Seconds after which an instance that was not heard of has no share any more."""

_LOOK: Final = (
    "WITH gone AS (DELETE FROM instances WHERE seen_at < clock_timestamp() - interval '1 minute'),"
    " me AS (INSERT INTO instances (holder, seen_at) VALUES ($1, clock_timestamp())"
    " ON CONFLICT (holder) DO UPDATE SET seen_at = clock_timestamp()),"
    " others AS (SELECT holder FROM instances WHERE holder <> $1"
    " AND seen_at > clock_timestamp() - make_interval(secs => $2))"
    " SELECT desired, (SELECT count(*) FROM others) + 1 AS instances,"
    " (SELECT count(*) FROM others WHERE holder < $1) AS rank FROM workers"
)


class Seen(msgspec.Struct, frozen=True):
    """Workers that there should be in all, live instances, and this one's rank among them."""

    desired: int
    instances: int
    rank: int


async def look(where: Executor, holder: str) -> Seen:
    """Say that `holder` is there, and return what it has to know. Raises Unavailable."""
    row = await where.fetchrow(_LOOK, holder, _GONE)
    if row is None:
        raise LookupError("the row of workers is missing")
    return Seen(row["desired"], row["instances"], row["rank"])


async def leave(where: Executor, holder: str) -> None:
    """Give up the share of `holder` at once. Raises Unavailable."""
    await where.execute("DELETE FROM instances WHERE holder = $1", holder)
