"""The generations of a read model: one is live, a later one is built anew, earlier ones go.

A row of weft.projections is a generation and its cursor. The tables of the read model have a
column `generation`; whoever reads them takes the live one, so that one update switches all readers.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import asyncpg
import msgspec

from weft.postgres.transaction import Transaction

State = Literal["live", "rebuilding", "dropping"]

LIVE = "SELECT generation FROM weft.projections WHERE name = '{name}' AND live"
"""A subquery for views: the generation to read."""
COUNTED = 100_000
"""How far a lag is counted."""
_DROPPED_AT_ONCE = 5_000
_TABLE = re.compile(r"[a-z_][a-z0-9_]*")

_REGISTER = (
    "INSERT INTO weft.projections (name, generation, live) SELECT $1::text, 1, true"
    " WHERE NOT EXISTS (SELECT 1 FROM weft.projections WHERE name = $1) ON CONFLICT DO NOTHING"
)
_REBUILD = (
    "INSERT INTO weft.projections (name, generation, live)"
    " SELECT $1::text, max(generation) + 1, false FROM weft.projections WHERE name = $1"
    " HAVING bool_or(live) AND max(generation) = max(generation) FILTER (WHERE live)"
    " ON CONFLICT DO NOTHING RETURNING generation"
)
_UNREAD = (
    "SELECT count(*) FROM (SELECT 1 FROM weft.events e"
    " WHERE (e.tx, e.position) > (p.tx, p.position) LIMIT $1) AS unread"
)
_LIST = (
    "SELECT p.name, p.generation, p.live, p.generation < l.generation AS dropping,"  # noqa: S608
    f" p.updated_at, ({_UNREAD}) AS lag FROM weft.projections p"
    " JOIN weft.projections l ON l.name = p.name AND l.live ORDER BY p.name, p.generation"
)
_LOCK_LIVE = "SELECT tx::text, position FROM weft.projections WHERE name = $1 AND live FOR UPDATE"
_BEHIND = (
    "SELECT (tx, position) < ($3::text::xid8, $4::bigint) FROM weft.projections"
    " WHERE name = $1 AND generation = $2"
)
_RETIRE = "UPDATE weft.projections SET live = false WHERE name = $1 AND live"
_ENTHRONE = "UPDATE weft.projections SET live = true WHERE name = $1 AND generation = $2"
_LOCK_OLD = (
    "SELECT 1 FROM weft.projections WHERE name = $1 AND generation = $2 FOR UPDATE SKIP LOCKED"
)
_FORGET = "DELETE FROM weft.projections WHERE name = $1 AND generation = $2"


class Connection(Protocol):
    """What reads rows: an asyncpg connection, or an Executor."""

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Return all rows."""

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first value of the first row."""


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One generation of a read model. `lag` is in events, counted up to 100000; `moved_at` in
    seconds since the epoch is when it last read some."""

    name: str
    generation: int
    state: State
    lag: int
    moved_at: float


async def listed(where: Connection) -> list[Generation]:
    """Return all generations of all read models of a database."""
    return [
        Generation(
            name=row["name"],
            generation=row["generation"],
            state="live" if row["live"] else "dropping" if row["dropping"] else "rebuilding",
            lag=row["lag"],
            moved_at=row["updated_at"].timestamp(),
        )
        for row in await where.fetch(_LIST, COUNTED)
    ]


async def rebuild(where: Connection, name: str) -> int | None:
    """Have `name` built anew from the start; None if there is no such read model, or it is being
    rebuilt already. The service's instances notice it within a second."""
    generation: int | None = await where.fetchval(_REBUILD, name)
    return generation


async def register(where: Connection, name: str) -> None:
    """Make the first generation of a read model that has none."""
    await where.fetch(_REGISTER, name)


async def lock_live(tx: Transaction, name: str) -> tuple[str, int]:
    """Hold the live generation where it stands; return its cursor."""
    row = await tx.fetchrow(_LOCK_LIVE, name)
    if row is None:
        raise LookupError(f"no generation of {name} is live")
    return row["tx"], row["position"]


async def switch(tx: Transaction, name: str, generation: int, live: tuple[str, int]) -> bool:
    """Make `generation` the live one unless it has read less than `live`, which is locked."""
    if await tx.fetchval(_BEHIND, name, generation, *live):
        return False
    await tx.execute(_RETIRE, name)
    await tx.execute(_ENTHRONE, name, generation)
    return True


async def drop(tx: Transaction, name: str, generation: int, tables: Sequence[str]) -> bool:
    """Delete some rows of a generation that was live; its cursor goes with the last of them.

    Returns False if another instance is at it.
    """
    if await tx.fetchval(_LOCK_OLD, name, generation) is None:
        return False
    for table in tables:
        tag = await tx.execute(_delete(table), generation, _DROPPED_AT_ONCE)
        if tag == f"DELETE {_DROPPED_AT_ONCE}":
            return True
    await tx.execute(_FORGET, name, generation)
    return True


def check_table(table: str) -> str:
    """Return `table`. Raises ValueError unless it is a plain name."""
    if not _TABLE.fullmatch(table):
        raise ValueError(f"{table}: expected the plain name of a table")
    return table


def _delete(table: str) -> str:
    return (
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY("  # noqa: S608  # a plain name, as checked
        f"SELECT ctid FROM {table} WHERE generation = $1 LIMIT $2))"
    )
