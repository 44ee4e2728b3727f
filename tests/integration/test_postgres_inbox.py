"""Messages and their effects in one transaction."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar
from uuid import UUID

import pytest
from opentelemetry import trace

from weft.errors import Unavailable, VersionConflict
from weft.ids import uuid7
from weft.messaging.errors import NotYetKnown, Unparsable
from weft.messaging.message import Command, Event, Incoming
from weft.postgres import inbox_days
from weft.postgres.database import Database
from weft.postgres.errors import IdentityOutOfRange
from weft.postgres.event_log import EventLog
from weft.postgres.handlers import Handlers
from weft.postgres.inbox import exactly_once
from weft.postgres.transaction import Transaction
from weft.telemetry import attach

DAY = 86_400


class Add(Command, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "Add"
    n: int


class Added(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "added"
    n: int


def incoming(body: bytes = b'{"n":1}', *, kind: str = "Add", identity: str = "") -> Incoming:
    return Incoming(
        id=identity or uuid7(),
        type=kind,
        version=1,
        body=body,
        headers={},
        correlation_id="c",
        reply_to=None,
        attempt=1,
        redelivered=False,
        queue="sums.commands",
        exchange="weft.commands",
        routing_key=kind,
        at=time.time(),
    )


def made_at(seconds: float) -> str:
    """A UUIDv7 of another time."""
    return str(UUID(int=(UUID(uuid7()).int & ((1 << 80) - 1)) | int(seconds * 1000) << 80))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.start()
    await database.execute("CREATE TABLE sums (n int)")
    yield database
    await database.stop()


@pytest.fixture
def handlers() -> Handlers:
    registry = Handlers()

    @registry.on(Add)
    async def add(tx: Transaction, message: Add, _: Incoming) -> None:
        await tx.execute("INSERT INTO sums VALUES ($1)", message.n)

    return registry


async def test_a_message_has_its_effect(db: Database, handlers: Handlers) -> None:
    handle = exactly_once(db, "sums", handlers)
    assert await handle(incoming()) == "processed"
    assert await db.fetchval("SELECT sum(n) FROM sums") == 1


async def test_a_repeated_message_is_a_duplicate_without_effect(
    db: Database, handlers: Handlers
) -> None:
    handle = exactly_once(db, "sums", handlers)
    message = incoming()
    assert await handle(message) == "processed"
    assert await handle(message) == "duplicate"
    assert await db.fetchval("SELECT sum(n) FROM sums") == 1


async def test_deliveries_at_the_same_time_have_one_effect(
    db: Database, handlers: Handlers
) -> None:
    handle = exactly_once(db, "sums", handlers)
    message = incoming()
    outcomes = await asyncio.gather(*(handle(message) for _ in range(8)))
    assert sorted(outcomes) == ["duplicate"] * 7 + ["processed"]
    assert await db.fetchval("SELECT sum(n) FROM sums") == 1


async def test_consumers_of_one_database_each_handle_a_message(
    db: Database, handlers: Handlers
) -> None:
    message = incoming()
    for consumer in ("one", "two"):
        assert await exactly_once(db, consumer, handlers)(message) == "processed"


async def test_a_handler_that_raises_leaves_nothing_and_may_succeed_later(db: Database) -> None:
    handlers, fail = Handlers(), [True]

    @handlers.on(Add)
    async def add(tx: Transaction, message: Add, _: Incoming) -> None:
        await tx.execute("INSERT INTO sums VALUES ($1)", message.n)
        if fail.pop():
            raise RuntimeError

    handle, message = exactly_once(db, "sums", handlers), incoming()
    with pytest.raises(RuntimeError):
        await handle(message)
    assert await db.fetchval("SELECT count(*) FROM sums") == 0
    fail.append(False)
    assert await handle(message) == "processed"
    assert await db.fetchval("SELECT sum(n) FROM sums") == 1


async def test_a_version_conflict_is_tried_again_in_a_new_transaction(db: Database) -> None:
    handlers, conflicts = Handlers(), 3

    @handlers.on(Add)
    async def add(tx: Transaction, message: Add, _: Incoming) -> None:
        nonlocal conflicts
        await tx.execute("INSERT INTO sums VALUES ($1)", message.n)
        if conflicts:
            conflicts -= 1
            raise VersionConflict("s", 1)

    assert await exactly_once(db, "sums", handlers)(incoming()) == "processed"
    assert await db.fetchval("SELECT sum(n) FROM sums") == 1


async def test_a_conflict_that_does_not_end_is_raised(db: Database) -> None:
    handlers = Handlers()

    @handlers.on(Add)
    async def add(*_: object) -> None:
        raise VersionConflict("s", 1)

    with pytest.raises(VersionConflict):
        await exactly_once(db, "sums", handlers)(incoming())


def shared(*, wrong: int | None = None) -> Handlers:
    """Handlers whose messages may share a transaction; the number `wrong` fails."""
    registry = Handlers()

    @registry.on(Add, together=True)
    async def add(tx: Transaction, message: Add, _: Incoming) -> None:
        if message.n == wrong:
            raise RuntimeError
        await tx.execute("INSERT INTO sums VALUES ($1)", message.n)

    return registry


async def test_messages_in_hand_at_the_same_time_share_transactions(db: Database) -> None:
    handle = exactly_once(db, "sums", shared())
    messages = [incoming(b'{"n":%d}' % n) for n in range(40)]
    assert await asyncio.gather(*map(handle, messages)) == ["processed"] * 40
    assert await asyncio.gather(*map(handle, messages)) == ["duplicate"] * 40
    assert await db.fetchval("SELECT sum(n) FROM sums") == sum(range(40))
    assert await db.fetchval("SELECT count(DISTINCT xmin::text) FROM sums") < 10


async def test_a_duplicate_within_one_transaction_has_no_effect(db: Database) -> None:
    handle, message = exactly_once(db, "sums", shared()), incoming()
    outcomes = await asyncio.gather(*(handle(message) for _ in range(5)))
    assert sorted(outcomes) == ["duplicate"] * 4 + ["processed"]
    assert await db.fetchval("SELECT sum(n) FROM sums") == 1


async def test_one_that_fails_among_many_fails_alone(db: Database) -> None:
    handle = exactly_once(db, "sums", shared(wrong=3))
    outcomes = await asyncio.gather(
        *(handle(incoming(b'{"n":%d}' % n)) for n in range(8)), return_exceptions=True
    )
    assert [n for n, outcome in enumerate(outcomes) if outcome != "processed"] == [3]
    assert isinstance(outcomes[3], RuntimeError)
    assert await db.fetchval("SELECT sum(n) FROM sums") == sum(range(8)) - 3


async def test_messages_that_share_a_transaction_keep_their_traces_and_causes(
    db: Database,
) -> None:
    registry, log, seen = Handlers(), EventLog(db), dict[str, int]()

    @registry.on(Add, together=True)
    async def add(tx: Transaction, message: Add, received: Incoming) -> None:
        seen[received.id] = trace.get_current_span().get_span_context().trace_id
        stream = f"sum-{message.n}"
        await log.append(tx, stream, kind="s", expected=0, events=[Added(n=message.n)])

    handle = exactly_once(db, "sums", registry)

    async def deliver(message: Incoming, trace_id: int) -> None:
        attach({"traceparent": f"00-{trace_id:032x}-b7ad6b7169203331-01"})
        await handle(message)

    messages = [incoming(b'{"n":%d}' % n) for n in range(6)]
    await asyncio.gather(*(deliver(one, n + 1) for n, one in enumerate(messages)))
    assert [seen[one.id] for one in messages] == [1, 2, 3, 4, 5, 6]
    rows = await db.fetch("SELECT meta->>'cause' AS cause FROM weft.events ORDER BY stream")
    assert [row["cause"] for row in rows] == [one.id for one in messages]


def many(calls: list[list[int]], wrong: int | None = None) -> Handlers:
    """A handler that takes all messages in hand and notes each call."""
    registry = Handlers()

    @registry.on_many(Add)
    async def add(tx: Transaction, messages: Sequence[tuple[Add, Incoming]]) -> None:
        numbers = [message.n for message, _ in messages]
        calls.append(numbers)
        if wrong in numbers:
            raise RuntimeError
        await tx.execute("INSERT INTO sums SELECT unnest($1::int[])", numbers)

    return registry


async def test_messages_in_hand_at_the_same_time_go_to_one_call_each_once(db: Database) -> None:
    calls: list[list[int]] = []
    handle = exactly_once(db, "sums", many(calls))
    messages = [incoming(b'{"n":%d}' % n) for n in range(10)]
    outcomes = await asyncio.gather(*(handle(one) for one in [*messages, *messages]))
    assert sorted(outcomes) == ["duplicate"] * 10 + ["processed"] * 10
    assert len(calls) < 10
    assert sorted(n for numbers in calls for n in numbers) == list(range(10))
    rows = await db.fetch("SELECT n FROM sums ORDER BY n")
    assert [row["n"] for row in rows] == list(range(10))


async def test_a_message_that_fails_among_many_fails_alone(db: Database) -> None:
    handle = exactly_once(db, "sums", many([], wrong=3))
    messages = [incoming(b'{"n":%d}' % n) for n in range(6)]
    outcomes = await asyncio.gather(*(handle(one) for one in messages), return_exceptions=True)
    assert [isinstance(one, RuntimeError) for one in outcomes] == [n == 3 for n in range(6)]
    rows = await db.fetch("SELECT n FROM sums ORDER BY n")
    assert [row["n"] for row in rows] == [0, 1, 2, 4, 5]


async def test_one_message_alone_reaches_a_handler_that_takes_many(db: Database) -> None:
    calls: list[list[int]] = []
    assert await exactly_once(db, "sums", many(calls))(incoming()) == "processed"
    assert calls == [[1]]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"n":"x"}', b"\xff", b"[" * 100_000])
async def test_a_wrong_body_is_unparsable(db: Database, handlers: Handlers, body: bytes) -> None:
    with pytest.raises(Unparsable):
        await exactly_once(db, "sums", handlers)(incoming(body))


@pytest.mark.parametrize("kind", ["Subtract", "sum.seen"])
async def test_a_message_without_a_handler_may_be_known_to_a_newer_version(
    db: Database, handlers: Handlers, kind: str
) -> None:
    with pytest.raises(NotYetKnown):
        await exactly_once(db, "sums", handlers)(incoming(kind=kind))


async def test_a_message_that_is_no_longer_wanted_is_passed_over(db: Database) -> None:
    handlers = Handlers()
    handlers.gone("removed")

    @handlers.on(Added)
    async def added(*_: object) -> None:
        pytest.fail("not for this one")

    assert await exactly_once(db, "sums", handlers)(incoming(kind="removed")) == "processed"


@pytest.mark.parametrize(
    "identity",
    ["", "x", "f47ac10b-58cc-4372-a567-0e02b2c3d479", made_at(time.time() - 9 * DAY)],
    ids=["empty", "no UUID", "no time in it", "too old"],
)
async def test_an_identity_that_cannot_be_remembered_is_unparsable(
    db: Database, handlers: Handlers, identity: str
) -> None:
    message = incoming(identity=identity or "-")
    with pytest.raises(IdentityOutOfRange):
        await exactly_once(db, "sums", handlers)(message)


@pytest.mark.parametrize("days", [-7, -1, 0, 1, 2])
async def test_identities_of_the_last_seven_days_and_the_next_two_are_remembered(
    db: Database, handlers: Handlers, days: int
) -> None:
    handle = exactly_once(db, "sums", handlers)
    message = incoming(identity=made_at(time.time() + days * DAY))
    assert [await handle(message), await handle(message)] == ["processed", "duplicate"]


async def test_a_consumer_may_have_any_name(db: Database, handlers: Handlers) -> None:
    message = incoming()
    assert await exactly_once(db, "o'hara's", handlers)(message) == "processed"
    assert await exactly_once(db, "o'hara's", handlers)(message) == "duplicate"
    assert await exactly_once(db, "o'hara''s", handlers)(message) == "processed"
    assert await db.fetchval("SELECT count(*) FROM sums") == 2


async def test_a_partition_that_maintenance_missed_is_made_when_needed(
    db: Database, handlers: Handlers
) -> None:
    today = time.strftime("%Y%m%d", time.gmtime())
    await db.execute(f"DROP TABLE weft.inbox_{today}")
    assert await exactly_once(db, "sums", handlers)(incoming()) == "processed"


async def test_partitions_are_made_ahead_and_dropped_behind(db: Database) -> None:
    async def partitions() -> list[str]:
        rows = await db.fetch(
            "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid"
            " WHERE inhparent = 'weft.inbox'::regclass ORDER BY 1"
        )
        return [row["relname"] for row in rows]

    before = await partitions()
    await inbox_days.make_and_drop(db, time.time() + DAY)
    after = await partitions()
    assert len(before) == len(after) == inbox_days.DAYS + inbox_days.AHEAD + 1
    assert after[:-1] == before[1:]


async def test_instances_that_make_partitions_at_the_same_time_agree(db: Database) -> None:
    await asyncio.gather(*(inbox_days.make_and_drop(db, time.time() + 3 * DAY) for _ in range(6)))


async def test_while_the_database_is_away_the_handler_says_so(
    database_url: str, handlers: Handlers
) -> None:
    database = Database(database_url)
    with pytest.raises(Unavailable):
        await exactly_once(database, "sums", handlers)(incoming())
