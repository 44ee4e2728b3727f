"""Appending to the event log: versions, conflicts, messages in the same statement."""

# ruff: noqa: PT012 - what must raise is the end of a transaction's block

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import ClassVar

import pytest

from weft.errors import VersionConflict
from weft.messaging.errors import NotYetKnown, Unparsable
from weft.messaging.message import Event, Upcaster, outgoing
from weft.postgres.database import Database
from weft.postgres.event_log import EventLog


class Opened(Event, frozen=True, kw_only=True):
    message_type = "account.opened"
    owner: str


class Paid(Event, frozen=True, kw_only=True):
    message_type = "account.paid"
    message_version = 2
    upcasters: ClassVar[Mapping[int, Upcaster]] = {
        1: lambda old: {"cents": old["euros"] * 100},
    }
    cents: int


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
def log(db: Database) -> EventLog:
    return EventLog(db)


async def test_events_come_back_in_order_with_their_versions(db: Database, log: EventLog) -> None:
    one = await log.append(db, "a-1", kind="account", expected=0, events=[Opened(owner="ann")])
    two = await log.append(
        db, "a-1", kind="account", expected=1, events=[Paid(cents=1), Paid(cents=2)]
    )
    events = await log.read(db, "a-1")
    assert (one, two) == (1, 3)
    assert [(event.version, event.type) for event in events] == [
        (1, "account.opened"),
        (2, "account.paid"),
        (3, "account.paid"),
    ]
    assert [event.position for event in events] == sorted(event.position for event in events)
    assert events[0].decode(Opened) == Opened(owner="ann")
    assert [event.version for event in await log.read(db, "a-1", after=2)] == [3]


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_another_version_than_expected_is_a_conflict_without_effect(
    db: Database, log: EventLog, expected: int
) -> None:
    await log.append(db, "a", kind="account", expected=0, events=[Paid(cents=1), Paid(cents=2)])
    message = outgoing(Paid(cents=9), correlation_id="a")
    with pytest.raises(VersionConflict):
        await log.append(
            db,
            "a",
            kind="account",
            expected=expected,
            events=[Paid(cents=9)],
            messages=[message],
        )
    assert len(await log.read(db, "a")) == 2
    assert await db.fetchval("SELECT count(*) FROM weft.outbox") == 0


async def test_a_stream_that_is_not_there_conflicts_with_every_version_but_0(
    db: Database, log: EventLog
) -> None:
    with pytest.raises(VersionConflict):
        await log.append(db, "a", kind="account", expected=1, events=[Paid(cents=1)])


async def test_of_concurrent_appends_with_one_version_one_wins(db: Database, log: EventLog) -> None:
    for expected in (0, 1):
        results = await asyncio.gather(
            *(
                log.append(db, "a", kind="account", expected=expected, events=[Paid(cents=n)])
                for n in range(8)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(result, int) for result in results) == 1
        assert sum(isinstance(result, VersionConflict) for result in results) == 7


async def test_appends_to_any_version_lose_nothing(db: Database, log: EventLog) -> None:
    async def append(n: int) -> None:
        while True:
            try:
                await log.append(db, "a", kind="account", expected=None, events=[Paid(cents=n)])
            except VersionConflict:
                continue
            return

    await asyncio.gather(*(append(n) for n in range(40)))
    events = await log.read(db, "a")
    assert sorted(event.decode(Paid).cents for event in events) == list(range(40))
    assert [event.version for event in events] == list(range(1, 41))


async def test_state_events_and_messages_are_one_statement(db: Database, log: EventLog) -> None:
    messages = [outgoing(Paid(cents=n), correlation_id="a") for n in range(3)]
    await log.append(db, "a", kind="account", expected=0, events=[Paid(cents=1)], messages=messages)
    rows = await db.fetch(
        "SELECT message_id::text, ordering_key, xmin::text FROM weft.outbox ORDER BY id"
    )
    writer = await db.fetchval("SELECT xmin::text FROM weft.events")
    assert [row["message_id"] for row in rows] == [message.id for message in messages]
    assert {row["ordering_key"] for row in rows} == {"a"}
    assert {row["xmin"] for row in rows} == {writer}


async def test_a_rolled_back_append_leaves_nothing(db: Database, log: EventLog) -> None:
    woken: list[str] = []
    db.signals.connect("outbox", lambda: woken.append("outbox"))
    with pytest.raises(KeyError):
        async with db.transaction() as tx:
            await log.append(
                tx,
                "a",
                kind="account",
                expected=0,
                events=[Paid(cents=1)],
                messages=[outgoing(Paid(cents=1), correlation_id="a")],
            )
            raise KeyError
    for table in ("streams", "events", "outbox"):
        assert await db.fetchval(f"SELECT count(*) FROM weft.{table}") == 0
    assert not woken


async def test_an_old_schema_version_is_upcast_when_it_is_read(db: Database, log: EventLog) -> None:
    await log.append(db, "a", kind="account", expected=0, events=[Paid(cents=1)])
    await db.execute("""UPDATE weft.events SET schema_version = 1, data = '{"euros": 7}'""")
    (event,) = await log.read(db, "a")
    assert event.decode(Paid) == Paid(cents=700)


async def test_an_event_of_another_shape_is_unparsable(db: Database, log: EventLog) -> None:
    await log.append(db, "a", kind="account", expected=0, events=[Paid(cents=1)])
    (event,) = await log.read(db, "a")
    with pytest.raises(NotYetKnown):  # as far as this version knows, a newer one may read it
        event.decode(Opened)
    await db.execute("UPDATE weft.events SET schema_version = 1")
    (event,) = await log.read(db, "a")
    with pytest.raises(Unparsable):
        event.decode(Opened)


async def test_an_event_knows_the_message_that_caused_it(db: Database, log: EventLog) -> None:
    async with db.transaction(cause="m-1") as tx:
        await log.append(tx, "a", kind="account", expected=0, events=[Paid(cents=1)])
    (event,) = await log.read(db, "a")
    assert event.meta["cause"] == "m-1"


async def test_an_append_that_would_turn_the_stream_round_is_a_conflict(
    db: Database, log: EventLog
) -> None:
    await log.append(db, "a", kind="account", expected=0, events=[Paid(cents=1)])
    async with db.transaction() as older:
        await older.fetchval("SELECT pg_current_xact_id()")
        await log.append(db, "a", kind="account", expected=1, events=[Paid(cents=2)])
        with pytest.raises(VersionConflict):
            await log.append(older, "a", kind="account", expected=2, events=[Paid(cents=3)])
        with pytest.raises(VersionConflict):
            await log.append(older, "a", kind="account", expected=None, events=[Paid(cents=3)])


async def test_an_append_without_events_is_refused(db: Database, log: EventLog) -> None:
    with pytest.raises(ValueError, match="at least one event"):
        await log.append(db, "a", kind="account", expected=0, events=[])
