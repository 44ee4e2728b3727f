"""Projections: no event skipped, repeated or turned round, whatever the writers do."""

# ruff: noqa: PT012 - what must raise is the end of a transaction's block

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import ClassVar

import asyncpg
import pytest

from weft.errors import VersionConflict
from weft.messaging.message import Event
from weft.postgres import projections
from weft.postgres.database import Database
from weft.postgres.event_log import EventLog, StoredEvent
from weft.postgres.projections import Apply, Projection, _age, _lag
from weft.postgres.transaction import Transaction

DEADLINE = 60.0
"""Seconds: a long transaction in any database of the server holds projections back."""


class Moved(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "piece.moved"
    n: int


async def write_down(tx: Transaction, events: Sequence[StoredEvent], generation: int) -> None:
    for event in events:
        await tx.execute(
            "INSERT INTO seen (generation, stream, version) VALUES ($1, $2, $3)",
            generation,
            event.stream,
            event.version,
        )


def following(db: Database, apply: Apply = write_down, *, batch: int = 500) -> Projection:
    return Projection(db, "p", apply, tables=["seen"], batch=batch)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=12)
    await database.start()
    await database.execute(
        "CREATE TABLE seen (n serial, generation int, stream text, version bigint)"
    )
    yield database
    await database.stop()


@pytest.fixture
def log(db: Database) -> EventLog:
    return EventLog(db)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + DEADLINE
    while not await condition():
        assert time.monotonic() < end, "the condition did not come true"
        await asyncio.sleep(0.01)


async def seen(db: Database) -> list[tuple[str, int]]:
    return [tuple(row) for row in await db.fetch("SELECT stream, version FROM seen ORDER BY n")]


async def append(where: Database | Transaction, log: EventLog, stream: str, expected: int) -> None:
    await log.append(where, stream, kind="p", expected=expected, events=[Moved(n=expected)])


async def test_every_event_is_applied_once_and_in_the_order_of_its_stream(
    db: Database, log: EventLog
) -> None:
    projection = following(db, batch=7)
    await projection.start()

    async def work(stream: str) -> None:
        for n in range(20):
            async with db.transaction() as tx:
                await append(tx, log, stream, n)

    await asyncio.gather(*(work(f"s{n}") for n in range(6)))

    async def all_seen() -> bool:
        return len(await seen(db)) >= 120

    await until(all_seen)
    rows = await seen(db)
    assert len(rows) == 120
    for n in range(6):
        own = [version for stream, version in rows if stream == f"s{n}"]
        assert own == list(range(1, 21))
    await projection.stop()


async def test_a_position_that_commits_late_is_not_skipped(db: Database, log: EventLog) -> None:
    projection = following(db)
    await projection.start()
    async with db.transaction() as early:
        await append(early, log, "early", 0)
        await append(db, log, "late", 0)
        await asyncio.sleep(0)
        positions = await db.fetch("SELECT stream FROM weft.events ORDER BY position")
        assert [row["stream"] for row in positions] == ["late"]
        assert await seen(db) == []

    async def both() -> bool:
        return len(await seen(db)) == 2

    await until(both)
    assert await seen(db) == [("early", 1), ("late", 1)]
    await projection.stop()


async def test_an_earlier_position_in_a_later_transaction_is_not_skipped(
    db: Database, log: EventLog
) -> None:
    async with db.transaction() as first, db.transaction() as second:
        await second.fetchval("SELECT pg_current_xact_id()")
        await first.fetchval("SELECT pg_current_xact_id()")
        await append(first, log, "a", 0)
        await append(second, log, "b", 0)
    order = await db.fetch("SELECT stream FROM weft.events ORDER BY tx, position")
    assert [row["stream"] for row in order] == ["b", "a"]
    projection = following(db, batch=1)
    await projection.start()

    async def both() -> bool:
        return len(await seen(db)) == 2

    await until(both)
    assert sorted(await seen(db)) == [("a", 1), ("b", 1)]
    await projection.stop()


async def test_transactions_are_ordered_as_numbers(db: Database, log: EventLog) -> None:
    for n, tx in enumerate(("9", "10", "11")):
        await append(db, log, "s", n)
        await db.execute("UPDATE weft.events SET tx = $1::text::xid8 WHERE version = $2", tx, n + 1)
    projection = following(db, batch=1)
    await projection.start()

    async def all_seen() -> bool:
        return len(await seen(db)) >= 3

    await until(all_seen)
    await projection.stop()
    assert await seen(db) == [("s", 1), ("s", 2), ("s", 3)]


async def test_a_stream_cannot_be_turned_round_by_a_transaction_that_began_earlier(
    db: Database, log: EventLog
) -> None:
    with pytest.raises(VersionConflict):
        async with db.transaction() as older:
            await older.execute("INSERT INTO seen (stream, version) VALUES ('first write', 0)")
            await append(db, log, "s", 0)
            await append(older, log, "s", 1)
    await append(db, log, "s", 1)
    order = await db.fetch("SELECT version FROM weft.events ORDER BY tx, position")
    assert [row["version"] for row in order] == [1, 2]


async def test_a_long_writer_in_another_database_holds_projections_back_and_is_seen(
    db: Database, log: EventLog, parts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "_MEASURE", 0.1)
    projection = following(db)
    await projection.start()
    labels = (("weft.projection.name", "p"),)
    live = (*labels, ("weft.projection.state", "live"))
    elsewhere = await asyncpg.connect(parts["WEFT_ADMIN_DATABASE_URL"])
    try:
        async with elsewhere.transaction():
            await elsewhere.fetchval("SELECT pg_current_xact_id()")
            await append(db, log, "s", 0)

            async def old_enough() -> bool:
                return _age.get(labels, 0.0) > 0.3 and _lag.get(live) == 1

            await until(old_enough)
            assert await seen(db) == []
    finally:
        await elsewhere.close()

    async def caught_up() -> bool:
        return await seen(db) == [("s", 1)] and _lag.get(live) == 0

    await until(caught_up)
    await projection.stop()


async def test_instances_share_a_projection_without_repeating(
    database_url: str, db: Database, log: EventLog
) -> None:
    other = Database(database_url)
    await other.start()
    projections = [following(part, batch=3) for part in (db, other)]
    for projection in projections:
        await projection.start()
    for n in range(30):
        await append(db, log, "s", n)

    async def all_seen() -> bool:
        return len(await seen(db)) >= 30

    await until(all_seen)
    await asyncio.gather(*(projection.stop() for projection in projections))
    assert [version for _, version in await seen(db)] == list(range(1, 31))
    await other.stop()


async def test_a_batch_that_fails_is_applied_again_as_a_whole(db: Database, log: EventLog) -> None:
    failures = [1]

    async def once_wrong(tx: Transaction, events: Sequence[StoredEvent], generation: int) -> None:
        await write_down(tx, events, generation)
        if failures:
            failures.pop()
            raise RuntimeError

    for n in range(3):
        await append(db, log, "s", n)
    projection = following(db, once_wrong)
    await projection.start()

    async def all_seen() -> bool:
        return len(await seen(db)) >= 3

    await until(all_seen)
    await projection.stop()
    assert await seen(db) == [("s", 1), ("s", 2), ("s", 3)]
