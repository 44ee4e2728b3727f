"""Connections cut at random moments: nothing lost, nothing twice."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import ClassVar

import asyncpg
import pytest

from weft.component import Component
from weft.errors import Unavailable, VersionConflict, WeftError
from weft.ids import uuid7
from weft.messaging.message import Event, Incoming, Outgoing, outgoing
from weft.postgres.database import Database
from weft.postgres.deadline_scanner import DeadlineScanner
from weft.postgres.deadlines import Deadlines
from weft.postgres.event_log import EventLog, StoredEvent
from weft.postgres.handlers import Handlers
from weft.postgres.inbox import exactly_once
from weft.postgres.projections import Projection
from weft.postgres.relay import Relay
from weft.postgres.transaction import Transaction

DEADLINE = 60.0
STREAMS = 6
EVENTS = 15


class Moved(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "piece.moved"
    n: int


class Wire:
    """Takes every message, slowly enough to be cut in the middle."""

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []

    async def publish_batch(self, messages: Sequence[Outgoing]) -> list[WeftError | None]:
        await asyncio.sleep(0.005)
        self.taken.extend(messages)
        return [None] * len(messages)


@pytest.fixture
def seed() -> int:
    """Shown by pytest when the test fails."""
    return random.randrange(1_000_000)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=12)
    await database.start()
    await database.execute("CREATE TABLE seen (generation int, stream text, version bigint)")
    await database.execute("CREATE TABLE effects (id text)")
    yield database
    await database.stop()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + DEADLINE
    while not await condition():
        assert time.monotonic() < end, "the condition did not come true"
        await asyncio.sleep(0.05)


async def cut_again_and_again(admin_url: str, database: str, times: int, seed: int) -> None:
    moments = random.Random(seed)
    admin = await asyncpg.connect(admin_url)
    try:
        for _ in range(times):
            await asyncio.sleep(moments.uniform(0.05, 0.4))
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                database,
            )
    finally:
        await admin.close()


async def insist(work: Callable[[], Awaitable[object]]) -> None:
    """What a broker does: deliver again until it has succeeded."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            await work()
        except (Unavailable, VersionConflict):
            await asyncio.sleep(0.02)
        else:
            return
    pytest.fail("it never succeeded")


async def test_cut_connections_lose_nothing_and_repeat_no_effect(
    db: Database, parts: dict[str, str], seed: int
) -> None:
    wire = Wire()
    receive = exactly_once(db, "pieces.events", _handlers(db))
    components: list[Component] = [
        Relay(db, wire),
        DeadlineScanner(db, {"t": _fire}),
        Projection(db, "p", _project, tables=["seen"], batch=4),
    ]
    for component in components:
        await component.start()

    async def feed(stream: str) -> None:
        for n in range(EVENTS):
            incoming = _incoming(stream, n)
            await insist(lambda incoming=incoming: receive(incoming))  # type: ignore[misc]
            await insist(lambda incoming=incoming: receive(incoming))  # type: ignore[misc]

    await asyncio.gather(
        *(feed(f"s{n}") for n in range(STREAMS)),
        cut_again_and_again(parts["WEFT_ADMIN_DATABASE_URL"], db.address.database, 8, seed),
    )

    await until(lambda: _settled(db))
    await asyncio.gather(*(component.stop() for component in components))
    rows = await db.fetch("SELECT stream, version FROM seen")
    expected = [(f"s{n}", version) for n in range(STREAMS) for version in range(1, EVENTS + 1)]
    assert sorted(tuple(row) for row in rows) == sorted(expected)
    assert await db.fetchval("SELECT count(*) FROM effects") == STREAMS * EVENTS
    assert await db.fetchval("SELECT count(DISTINCT id) FROM effects") == STREAMS * EVENTS
    for n in range(STREAMS):
        own = [message.body for message in wire.taken if message.correlation_id == f"s{n}"]
        assert list(dict.fromkeys(own)) == [b'{"n":%d}' % number for number in range(EVENTS)]


async def _project(tx: Transaction, events: Sequence[StoredEvent], generation: int) -> None:
    for event in events:
        await tx.execute(
            "INSERT INTO seen VALUES ($1, $2, $3)", generation, event.stream, event.version
        )


async def _fire(tx: Transaction, key: str) -> None:
    await tx.execute("INSERT INTO effects VALUES ($1)", f"deadline {key}")


def _handlers(db: Database) -> Handlers:
    handlers, log, deadlines = Handlers(), EventLog(db), Deadlines(db)

    @handlers.on(Moved)
    async def handle(tx: Transaction, message: Moved, incoming: Incoming) -> None:
        stream = incoming.correlation_id
        stored = await log.read(tx, stream)
        await log.append(
            tx,
            stream,
            kind="p",
            expected=len(stored),
            events=[message],
            messages=[outgoing(message, correlation_id=stream)],
        )
        await deadlines.set(tx, "t", f"{stream}-{message.n}", due_in=0.1)

    return handlers


async def _settled(db: Database) -> bool:
    try:
        return bool(
            await db.fetchval(
                "SELECT NOT EXISTS (SELECT 1 FROM weft.outbox)"
                " AND NOT EXISTS (SELECT 1 FROM weft.deadlines)"
                " AND (SELECT count(*) FROM seen) >= $1",
                STREAMS * EVENTS,
            )
        )
    except Unavailable:
        return False


def _incoming(stream: str, n: int) -> Incoming:
    return Incoming(
        id=uuid7(),
        type="piece.moved",
        version=1,
        body=b'{"n":%d}' % n,
        headers={},
        correlation_id=stream,
        reply_to=None,
        attempt=1,
        redelivered=False,
        queue="pieces.events",
        exchange="weft.events",
        routing_key="piece.moved",
        at=time.time(),
    )
