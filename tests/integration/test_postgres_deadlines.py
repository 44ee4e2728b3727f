"""Deadlines that fire once, whoever scans."""

# ruff: noqa: PT012 - what must raise is the end of a transaction's block

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from opentelemetry import trace

from weft.errors import VersionConflict
from weft.postgres import deadline_scanner
from weft.postgres.database import Database
from weft.postgres.deadline_scanner import DeadlineScanner
from weft.postgres.deadlines import Deadlines
from weft.postgres.transaction import Transaction
from weft.telemetry import attach, detach

DEADLINE = 60.0
UNTIL_ENDED = 4.0
"""Less than the server lets a transaction wait for its client."""


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=12)
    await database.start()
    await database.execute("CREATE TABLE fired (key text)")
    yield database
    await database.stop()


async def write(tx: Transaction, key: str) -> None:
    await tx.execute("INSERT INTO fired VALUES ($1)", key)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + DEADLINE
    while not await condition():
        assert time.monotonic() < end, "the condition did not come true"
        await asyncio.sleep(0.01)


async def fired(db: Database) -> list[str]:
    return [row["key"] for row in await db.fetch("SELECT key FROM fired ORDER BY 1")]


async def none_left(db: Database) -> bool:
    return bool(await db.fetchval("SELECT count(*) = 0 FROM weft.deadlines"))


async def test_two_scanners_fire_each_deadline_once(database_url: str, db: Database) -> None:
    other = Database(database_url, pool_size=8)
    await other.start()
    scanners = [DeadlineScanner(db, {"t": write}), DeadlineScanner(other, {"t": write})]
    deadlines = Deadlines(db)
    async with db.transaction() as tx:
        for n in range(60):
            await deadlines.set(tx, "t", f"{n:02}", due_in=0.2)
    for scanner in scanners:
        await scanner.start()
    await until(lambda: none_left(db))
    assert Counter(await fired(db)) == Counter(f"{n:02}" for n in range(60))
    await asyncio.gather(*(scanner.stop() for scanner in scanners))
    await other.stop()


async def test_a_deadline_fires_when_it_is_due_and_not_before(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline_scanner, "NEAR", 3600.0)  # what fires was not found by a look
    scanner = DeadlineScanner(db, {"t": write})
    await scanner.start()
    begun = time.monotonic()
    await Deadlines(db).set(db, "t", "k", due_in=0.3)
    await until(lambda: none_left(db))
    assert time.monotonic() - begun >= 0.3
    await scanner.stop()


async def test_a_cancelled_deadline_does_not_fire(db: Database) -> None:
    deadlines = Deadlines(db)
    await deadlines.set(db, "t", "off", due_in=0.0)
    await deadlines.cancel(db, "t", "off")
    await deadlines.set(db, "t", "on", due_in=0.0)
    scanner = DeadlineScanner(db, {"t": write})
    await scanner.start()
    await until(lambda: none_left(db))
    await scanner.stop()
    assert await fired(db) == ["on"]


async def test_cancelling_does_not_wait_for_a_handler_that_runs(db: Database) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(tx: Transaction, key: str) -> None:
        inside.set()
        await go_on.wait()
        await write(tx, key)

    scanner = DeadlineScanner(db, {"t": slow})
    await scanner.start()
    deadlines = Deadlines(db)
    await deadlines.set(db, "t", "k", due_in=0.0)
    await asyncio.wait_for(inside.wait(), DEADLINE)
    await asyncio.wait_for(deadlines.cancel(db, "t", "k"), UNTIL_ENDED)
    go_on.set()
    await until(lambda: none_left(db))
    await scanner.stop()


async def test_a_deadline_that_is_set_again_is_moved(db: Database) -> None:
    deadlines = Deadlines(db)
    await deadlines.set(db, "t", "k", due_in=0.0)
    await deadlines.set(db, "t", "k", due_in=60.0)
    assert await db.fetchval("SELECT due_at > now() + interval '50 s' FROM weft.deadlines")


async def test_a_rolled_back_deadline_never_was(db: Database) -> None:
    with pytest.raises(KeyError):
        async with db.transaction() as tx:
            await Deadlines(db).set(tx, "t", "k", due_in=0.0)
            raise KeyError
    assert await none_left(db)


@pytest.mark.parametrize("error", [RuntimeError("x"), VersionConflict("s", 1)])
async def test_a_handler_that_raises_is_tried_again(db: Database, error: Exception) -> None:
    errors = [error]

    async def once_wrong(tx: Transaction, key: str) -> None:
        await write(tx, key)
        if errors:
            raise errors.pop()

    scanner = DeadlineScanner(db, {"t": once_wrong})
    await scanner.start()
    await Deadlines(db).set(db, "t", "k", due_in=0.0)
    await until(lambda: none_left(db))
    await scanner.stop()
    assert await fired(db) == ["k"]


async def test_a_handler_may_set_its_own_deadline_again(db: Database) -> None:
    deadlines = Deadlines(db)

    async def three_times(tx: Transaction, key: str) -> None:
        await write(tx, key)
        if await tx.fetchval("SELECT count(*) FROM fired") < 3:
            await deadlines.set(tx, "t", key, due_in=0.0)

    scanner = DeadlineScanner(db, {"t": three_times})
    await scanner.start()
    await deadlines.set(db, "t", "k", due_in=0.0)
    await until(lambda: none_left(db))
    await scanner.stop()
    assert await fired(db) == ["k", "k", "k"]


async def test_kinds_of_other_services_are_left_alone(db: Database) -> None:
    deadlines = Deadlines(db)
    await deadlines.set(db, "foreign", "a", due_in=0.0)
    await deadlines.set(db, "t", "b", due_in=0.0)
    scanner = DeadlineScanner(db, {"t": write})
    await scanner.start()
    await until(lambda: _only_foreign(db))
    await scanner.stop()
    assert await fired(db) == ["b"]


async def _only_foreign(db: Database) -> bool:
    rows = await db.fetch("SELECT kind FROM weft.deadlines")
    return [row["kind"] for row in rows] == ["foreign"]


async def test_the_handler_continues_the_trace_that_set_the_deadline(db: Database) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    seen: list[int] = []

    async def look(tx: Transaction, key: str) -> None:
        await write(tx, key)
        seen.append(trace.get_current_span().get_span_context().trace_id)

    token = attach({"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    await Deadlines(db).set(db, "t", "k", due_in=0.0)
    detach(token)
    scanner = DeadlineScanner(db, {"t": look})
    await scanner.start()
    await until(lambda: none_left(db))
    await scanner.stop()
    assert seen == [int(trace_id, 16)]


async def test_stop_finishes_the_handler_that_runs(db: Database) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(tx: Transaction, key: str) -> None:
        inside.set()
        await go_on.wait()
        await write(tx, key)

    scanner = DeadlineScanner(db, {"t": slow})
    await scanner.start()
    await Deadlines(db).set(db, "t", "k", due_in=0.0)
    await asyncio.wait_for(inside.wait(), DEADLINE)
    stopping = asyncio.create_task(scanner.stop())
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait_for(stopping, DEADLINE)
    assert await fired(db) == ["k"]
    assert await none_left(db)
