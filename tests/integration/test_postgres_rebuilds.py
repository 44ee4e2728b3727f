"""Read models rebuilt while the system runs: readers see one whole generation, each event once."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from weft.messaging.errors import NotYetKnown
from weft.messaging.message import Event, Upcaster
from weft.postgres import generations, projections
from weft.postgres.database import Database
from weft.postgres.event_log import EventLog, StoredEvent
from weft.postgres.projections import Apply, Projection, _lag
from weft.postgres.transaction import Transaction

DEADLINE = 60.0
"""Seconds: a long transaction in any database of the server holds projections back."""
STREAMS = 4


class Paid(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "account.paid"
    message_version: ClassVar[int] = 2
    upcasters: ClassVar[Mapping[int, Upcaster]] = {1: lambda old: {"cents": old["euros"] * 100}}
    cents: int


async def post(tx: Transaction, events: Sequence[StoredEvent], generation: int) -> None:
    for event in events:
        await tx.execute(
            "INSERT INTO postings VALUES ($1, $2, $3, $4)",
            generation,
            event.stream,
            event.version,
            event.decode(Paid).cents,
        )


def following(db: Database, apply: Apply = post, *, batch: int = 10) -> Projection:
    return Projection(db, "postings", apply, tables=["postings"], batch=batch)


@asynccontextmanager
async def running(*projections: Projection) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for projection in projections:
            await projection.start()
            stack.push_async_callback(projection.stop)
        yield


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    end = time.monotonic() + DEADLINE
    while not await condition():
        assert time.monotonic() < end, "the condition did not come true"
        await asyncio.sleep(0.01)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.start()
    await database.execute(
        "CREATE TABLE postings (generation int, stream text, version bigint, cents bigint,"
        " PRIMARY KEY (generation, stream, version))"
    )
    live = generations.LIVE.format(name="postings")
    await database.execute(
        f"CREATE VIEW shown AS SELECT * FROM postings WHERE generation = ({live})"
    )
    yield database
    await database.stop()


@pytest.fixture
def log(db: Database) -> EventLog:
    return EventLog(db)


async def append(log: EventLog, db: Database, stream: str, version: int) -> None:
    await log.append(db, stream, kind="account", expected=version, events=[Paid(cents=version)])


async def fill(log: EventLog, db: Database, events: int) -> None:
    for number in range(events):
        await append(log, db, f"s{number % STREAMS}", number // STREAMS)


async def shown(db: Database) -> list[tuple[str, int]]:
    rows = await db.fetch("SELECT stream, version FROM shown ORDER BY stream, version")
    return [tuple(row) for row in rows]


def whole(events: int) -> list[tuple[str, int]]:
    return sorted((f"s{n % STREAMS}", n // STREAMS + 1) for n in range(events))


async def live(db: Database) -> int:
    return int(await db.fetchval("SELECT generation FROM weft.projections WHERE live"))


async def is_alone(db: Database, generation: int) -> bool:
    cursors = await db.fetch("SELECT generation FROM weft.projections")
    rows = await db.fetch("SELECT DISTINCT generation FROM postings")
    return {row[0] for row in cursors} == {generation} == {row[0] for row in rows}


async def test_a_rebuild_under_load_switches_without_a_gap_and_drops_what_was(
    db: Database, log: EventLog
) -> None:
    await fill(log, db, 60)
    async with running(following(db)):

        async def caught_up() -> bool:
            return len(await shown(db)) == 60

        await until(caught_up)
        await db.execute("UPDATE postings SET cents = -1")  # what only a rebuild can mend
        assert await generations.rebuild(db, "postings") == 2
        counts = []
        for number in range(60, 160):
            await append(log, db, f"s{number % STREAMS}", number // STREAMS)
            counts.append(await db.fetchval("SELECT count(*) FROM shown"))
        assert counts == sorted(counts), "a reader saw less than before"

        async def rebuilt() -> bool:
            return await is_alone(db, 2) and len(await shown(db)) == 160

        await until(rebuilt)
    assert await shown(db) == whole(160)
    assert await db.fetchval("SELECT count(*) FROM postings WHERE cents = -1") == 0


async def test_a_second_rebuild_is_refused_while_one_runs(db: Database) -> None:
    async with running(following(db)):

        async def registered() -> bool:
            return bool(await generations.listed(db))

        await until(registered)
    tries = await asyncio.gather(*(generations.rebuild(db, "postings") for _ in range(8)))
    assert sorted(number for number in tries if number is not None) == [2]
    assert await generations.rebuild(db, "postings") is None
    assert await generations.rebuild(db, "nothing of the kind") is None
    listed = await generations.listed(db)
    assert [(one.generation, one.state) for one in listed] == [(1, "live"), (2, "rebuilding")]


async def test_a_rebuild_that_is_cut_off_goes_on_where_it_was(db: Database, log: EventLog) -> None:
    await fill(log, db, 40)
    reached, cut = asyncio.Event(), asyncio.Event()

    async def slowly(tx: Transaction, events: Sequence[StoredEvent], generation: int) -> None:
        await post(tx, events, generation)
        written = await tx.fetchval("SELECT count(*) FROM postings WHERE generation = 2")
        if written > 20:
            reached.set()
            await cut.wait()

    first = following(db, slowly)
    await first.start()

    async def caught_up() -> bool:
        return len(await shown(db)) == 40

    await until(caught_up)
    await generations.rebuild(db, "postings")
    await asyncio.wait_for(reached.wait(), DEADLINE)
    task = first._task
    assert task is not None
    task.cancel()  # as a crash: the batch in hand is rolled back
    await asyncio.gather(task, return_exceptions=True)
    assert (await live(db), len(await shown(db))) == (1, 40)
    assert await db.fetchval("SELECT count(*) FROM postings WHERE generation = 2") == 20
    async with running(following(db)):
        await until(lambda: is_alone(db, 2))
    assert await shown(db) == whole(40)


async def test_several_instances_rebuild_together_without_repeating(
    database_url: str, db: Database, log: EventLog
) -> None:
    other = Database(database_url)
    await other.start()
    await fill(log, db, 40)
    async with running(following(db, batch=5), following(other, batch=5)):

        async def caught_up() -> bool:
            return len(await shown(db)) == 40

        await until(caught_up)
        for generation in (2, 3):
            assert await generations.rebuild(other, "postings") == generation
            await until(lambda generation=generation: is_alone(db, generation))  # type: ignore[misc]
    assert await shown(db) == whole(40)
    await other.stop()


async def test_a_rebuild_that_fails_holds_nobody_up_and_its_lag_is_seen(
    db: Database, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "_MEASURE", 0.1)
    await fill(log, db, 8)
    broken = [True]

    async def wrong(tx: Transaction, events: Sequence[StoredEvent], generation: int) -> None:
        if generation == 2 and broken:
            raise ZeroDivisionError
        await post(tx, events, generation)

    name = ("weft.projection.name", "postings")
    async with running(following(db, wrong)):
        await until(lambda: is_alone(db, 1))
        await generations.rebuild(db, "postings")

        async def seen() -> bool:
            return _lag.get((name, ("weft.projection.state", "rebuilding"))) == 8

        await until(seen)
        await append(log, db, "s0", 2)

        async def goes_on() -> bool:
            return len(await shown(db)) == 9

        await until(goes_on)
        assert await live(db) == 1
        broken.clear()
        await until(lambda: is_alone(db, 2))
        assert len(await shown(db)) == 9

        async def drained() -> bool:
            return _lag.get((name, ("weft.projection.state", "rebuilding"))) == 0

        await until(drained)


async def test_a_reader_that_began_before_the_switch_reads_its_generation_to_the_end(
    database_url: str, db: Database, log: EventLog
) -> None:
    await fill(log, db, 40)
    reader = Database(database_url)
    await reader.start()
    async with running(following(db)):

        async def caught_up() -> bool:
            return len(await shown(db)) == 40

        await until(caught_up)
        async with reader.transaction() as tx:
            await tx.execute("DECLARE report CURSOR FOR SELECT stream, version FROM shown")
            rows = await tx.fetch("FETCH 10 FROM report")
            await generations.rebuild(db, "postings")

            async def switched() -> bool:
                await tx.fetchval("SELECT 1")  # the server ends a transaction that says nothing
                return await is_alone(db, 2)

            await until(switched)
            rows += await tx.fetch("FETCH ALL FROM report")
    assert sorted(tuple(row) for row in rows) == whole(40)
    await reader.stop()


async def test_an_event_of_an_old_schema_version_is_read_as_todays_class(
    db: Database, log: EventLog
) -> None:
    await fill(log, db, 1)
    await db.execute("""UPDATE weft.events SET schema_version = 1, data = '{"euros": 7}'""")
    async with running(following(db)):
        await until(lambda: is_alone(db, 1))
    assert await db.fetchval("SELECT cents FROM shown") == 700


async def test_an_event_of_a_newer_version_waits_for_an_instance_that_knows_it(
    db: Database, log: EventLog
) -> None:
    await fill(log, db, 8)
    newer = """UPDATE weft.events SET schema_version = 3, data = '{"amount": [1, "EUR"]}'"""
    await db.execute(f"{newer} WHERE stream = 's0' AND version = 2")
    refused = asyncio.Event()

    async def of_today(tx: Transaction, events: Sequence[StoredEvent], generation: int) -> None:
        try:
            await post(tx, events, generation)
        except NotYetKnown:
            refused.set()
            raise

    async def of_tomorrow(tx: Transaction, events: Sequence[StoredEvent], generation: int) -> None:
        known = [replace(event, schema_version=2, data=b'{"cents": 100}') for event in events]
        await post(tx, known, generation)

    async with running(following(db, of_today)):
        await asyncio.wait_for(refused.wait(), DEADLINE)
        # Those before it may have come in a batch of their own.
        assert set(await shown(db)) <= set(whole(STREAMS))
        async with running(following(db, of_tomorrow)):

            async def all_shown() -> bool:
                return len(await shown(db)) == 8

            await until(all_shown)
    assert await shown(db) == whole(8)


async def test_tables_of_a_read_model_have_plain_names(db: Database) -> None:
    with pytest.raises(ValueError, match="plain name"):
        Projection(db, "p", post, tables=["postings; DROP TABLE postings"])
