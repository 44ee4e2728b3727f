"""The relay between a real database and a real broker."""

# ruff: noqa: PT012 - what must raise is the end of a transaction's block

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import aio_pika
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from weft.errors import Unavailable, VersionConflict, WeftError
from weft.messaging.broker import Broker
from weft.messaging.errors import Rejected
from weft.messaging.message import Command, Event, Outgoing, outgoing
from weft.messaging.publisher import Publisher
from weft.messaging.topology import QueueSpec, ServiceTopology
from weft.postgres import relay as relay_module
from weft.postgres.database import Database
from weft.postgres.event_log import EventLog
from weft.postgres.outbox import Outbox
from weft.postgres.outbox_rows import OutboxRows
from weft.postgres.relay import POLL, Relay

DEADLINE = 60.0
WATCHED = 2.0
"""Seconds in which attempts are counted."""


class Moved(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "piece.moved"
    n: int


class Fetch(Command, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "Fetch"
    n: int


class Recorder:
    """Stands for the broker where a test must stop it in the middle of a batch."""

    def __init__(self) -> None:
        self.published: list[Outgoing] = []
        self.full: set[str] = set()
        self.away = False
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    async def publish_batch(self, messages: Sequence[Outgoing]) -> list[WeftError | None]:
        self.asked.set()
        await self.open.wait()
        if self.away:
            return [Unavailable("broker", "away") for _ in messages]
        outcomes: list[WeftError | None] = []
        for message in messages:
            if message.correlation_id in self.full:
                outcomes.append(Rejected(message.exchange, message.routing_key))
            else:
                self.published.append(message)
                outcomes.append(None)
        return outcomes

    def bodies(self) -> list[bytes]:
        return [message.body for message in self.published]


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=12)
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
async def broker(broker_url: str) -> AsyncIterator[Broker]:
    topology = ServiceTopology(
        service="pieces",
        commands=(),
        events=["piece.*"],
        further=[QueueSpec(name="pieces.tiny", bindings=(("weft.commands", "Tiny"),))],
    )
    part = Broker(broker_url, topology)
    await part.start()
    yield part
    await part.stop()


async def until(condition: object, what: str = "condition") -> None:
    """Wait until `condition()` (it may be a coroutine function) is true."""
    end = time.monotonic() + DEADLINE
    while True:
        value = condition()  # type: ignore[operator]
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return
        assert time.monotonic() < end, f"{what} did not come true"
        await asyncio.sleep(0.02)


async def empty(db: Database) -> bool:
    return bool(await db.fetchval("SELECT NOT EXISTS (SELECT 1 FROM weft.outbox)"))


async def take(url: str, queue: str, count: int) -> list[aio_pika.abc.AbstractIncomingMessage]:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        source = await channel.get_queue(queue)
        messages: list[aio_pika.abc.AbstractIncomingMessage] = []
        async with asyncio.timeout(DEADLINE), source.iterator(no_ack=True) as iterator:
            async for message in iterator:
                messages.append(message)
                if len(messages) == count:
                    break
        return messages


async def test_a_message_arrives_with_its_identity_and_its_cause_is_the_parent_of_its_sending(
    db: Database, broker: Broker, broker_url: str, spans: InMemorySpanExporter
) -> None:
    relay = Relay(db, Publisher(broker))
    await relay.start()
    trace_id, cause = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    carrier = {"traceparent": f"00-{trace_id}-{cause}-01"}
    message = outgoing(Moved(n=1), correlation_id="c-1", carrier=carrier)
    async with db.transaction() as tx:
        await Outbox(db).add(tx, message)
    (received,) = await take(broker_url, "pieces.events", 1)
    assert (received.message_id, received.type, received.correlation_id) == (
        message.id,
        "piece.moved.v1",
        "c-1",
    )
    assert received.body == b'{"n":1}'
    await until(lambda: empty(db))
    await relay.stop()
    (send,) = [one for one in spans.get_finished_spans() if one.name.startswith("send ")]
    assert send.context is not None
    assert send.parent is not None
    assert f"{send.context.trace_id:032x}" == trace_id
    assert f"{send.parent.span_id:016x}" == cause
    created = f"00-{trace_id}-{send.context.span_id:016x}-01"
    assert received.headers["traceparent"] == created


async def test_streams_of_concurrent_writers_are_published_in_order(
    db: Database, broker: Broker, broker_url: str
) -> None:
    relay = Relay(db, Publisher(broker))
    await relay.start()
    log = EventLog(db)
    streams, rounds = 8, 25

    async def write(name: str) -> None:
        for n in range(rounds):
            await asyncio.sleep(random.uniform(0, 0.003))
            event = Moved(n=n)
            async with db.transaction() as tx:
                await log.append(
                    tx,
                    name,
                    kind="piece",
                    expected=n,
                    events=[event],
                    messages=[outgoing(event, correlation_id=name)],
                )
                await tx.execute("SELECT pg_sleep($1)", random.uniform(0, 0.005))

    await asyncio.gather(*(write(f"s-{n}") for n in range(streams)))
    received = await take(broker_url, "pieces.events", streams * rounds)
    for n in range(streams):
        own = [message.body for message in received if message.correlation_id == f"s-{n}"]
        assert own == [b'{"n":%d}' % number for number in range(rounds)]
    await until(lambda: empty(db))
    await relay.stop()


async def test_an_unroutable_command_stays_and_holds_up_only_its_own_key(
    db: Database, broker: Broker, broker_url: str
) -> None:
    relay, outbox = Relay(db, Publisher(broker)), Outbox(db)
    await relay.start()
    await outbox.add(db, outgoing(Fetch(n=1), correlation_id="c"), key="stuck")
    await outbox.add(db, outgoing(Moved(n=2), correlation_id="c"), key="stuck")
    await outbox.add(db, outgoing(Moved(n=3), correlation_id="c"), key="free")
    (received,) = await take(broker_url, "pieces.events", 1)
    assert received.body == b'{"n":3}'
    await until(lambda: db.fetchval("SELECT count(*) = 2 FROM weft.outbox WHERE attempts >= 0"))
    await until(lambda: db.fetchval("SELECT max(attempts) >= 1 FROM weft.outbox"))
    connection = await aio_pika.connect(broker_url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("late", durable=True)
        # The event's first: it is sent as soon as the command has somewhere to go.
        await queue.bind("weft.events", "piece.*")
        await queue.bind("weft.commands", "Fetch")
    first, second = await take(broker_url, "late", 2)
    assert (first.body, second.body) == (b'{"n":1}', b'{"n":2}')
    await until(lambda: empty(db))
    await relay.stop()


async def test_a_full_queue_does_not_hold_up_messages_for_others(db: Database) -> None:
    recorder = Recorder()
    recorder.full.add("full")
    relay, outbox = Relay(db, recorder), Outbox(db)
    for n in range(20):
        which = "full" if n % 2 else "other"
        await outbox.add(db, outgoing(Moved(n=n), correlation_id=which), key=which)
    await relay.start()
    await until(lambda: len(recorder.published) == 10)
    assert {message.correlation_id for message in recorder.published} == {"other"}
    assert await db.fetchval("SELECT max(attempts) FROM weft.outbox WHERE id > 2") == 0
    recorder.full.clear()
    await until(lambda: empty(db))
    held = [message.body for message in recorder.published if message.correlation_id == "full"]
    assert held == [b'{"n":%d}' % n for n in range(1, 20, 2)]
    await relay.stop()


async def test_a_message_of_a_held_key_that_comes_later_waits_too(db: Database) -> None:
    recorder = Recorder()
    recorder.full.add("a")
    relay, outbox = Relay(db, recorder), Outbox(db)
    await relay.start()
    await outbox.add(db, outgoing(Moved(n=1), correlation_id="a"), key="k")
    await until(lambda: db.fetchval("SELECT max(attempts) >= 1 FROM weft.outbox"))
    await outbox.add(db, outgoing(Moved(n=2), correlation_id="b"), key="k")
    await until(
        lambda: db.fetchval(
            "SELECT count(*) = 1 FROM weft.outbox WHERE next_attempt_at = 'infinity'"
        )
    )
    assert recorder.published == []
    recorder.full.clear()
    await until(lambda: empty(db))
    assert recorder.bodies() == [b'{"n":1}', b'{"n":2}']
    await relay.stop()


async def test_a_row_held_behind_one_that_is_gone_is_freed(db: Database) -> None:
    recorder = Recorder()
    outbox = Outbox(db)
    await outbox.add(db, outgoing(Moved(n=1), correlation_id="a"), key="k")
    await db.execute("UPDATE weft.outbox SET next_attempt_at = 'infinity'")
    relay = Relay(db, recorder)
    await relay.start()
    await until(lambda: empty(db))
    await relay.stop()


async def test_while_the_broker_is_away_nothing_is_lost_and_no_attempt_is_spent(
    db: Database,
) -> None:
    recorder = Recorder()
    recorder.away = True
    relay = Relay(db, recorder)
    await relay.start()
    await Outbox(db).add(db, outgoing(Moved(n=1), correlation_id="a"), key="k")
    await asyncio.wait_for(recorder.asked.wait(), DEADLINE)
    assert await db.fetchval("SELECT attempts FROM weft.outbox") == 0
    recorder.away = False
    await until(lambda: empty(db))
    assert recorder.bodies() == [b'{"n":1}']
    await relay.stop()


async def test_a_relay_that_stops_hands_over_at_once(database_url: str, db: Database) -> None:
    other = Database(database_url)
    await other.start()
    first, second = Relay(db, Recorder()), Relay(other, Recorder())
    await first.start()
    await until(lambda: first.active)
    await first.stop()
    assert await db.fetchval("SELECT epoch = 1 AND expires_at < now() FROM weft.leases")
    await second.start()
    await until(lambda: second.active)
    await second.stop()
    await other.stop()


async def test_a_zombie_publishes_again_but_deletes_nothing(db: Database) -> None:
    recorder = Recorder()
    recorder.open.clear()
    relay = Relay(db, recorder)
    await Outbox(db).add(db, outgoing(Moved(n=1), correlation_id="a"))
    await relay.start()
    await asyncio.wait_for(recorder.asked.wait(), DEADLINE)
    await db.execute(
        "UPDATE weft.leases SET epoch = epoch + 1, expires_at = now() + interval '1 hour'"
    )
    recorder.open.set()
    await until(lambda: not relay.active)
    assert len(recorder.published) == 1
    assert not await empty(db)
    await relay.stop()


async def test_stop_in_the_middle_of_a_batch_finishes_it(db: Database) -> None:
    recorder = Recorder()
    recorder.open.clear()
    relay = Relay(db, recorder)
    outbox = Outbox(db)
    for n in range(10):
        await outbox.add(db, outgoing(Moved(n=n), correlation_id="a"), key=f"k-{n}")
    await relay.start()
    await asyncio.wait_for(recorder.asked.wait(), DEADLINE)
    stopping = asyncio.create_task(relay.stop())
    await asyncio.sleep(0)
    recorder.open.set()
    await asyncio.wait_for(stopping, DEADLINE)
    assert len(recorder.published) == 10
    assert await empty(db)
    assert await db.fetchval("SELECT expires_at < now() FROM weft.leases")


async def test_a_commit_wakes_the_relay_of_another_instance(
    database_url: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "POLL", 3600.0)  # what arrives was not found by a poll
    other = Database(database_url)
    await other.start()
    recorder = Recorder()
    active, standby = Relay(db, recorder), Relay(other, Recorder())
    await active.start()
    await until(lambda: active.active)
    await standby.start()
    outbox = Outbox(other)
    await until(
        lambda: db.fetchval("SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    )
    for n in range(5):
        await outbox.add(other, outgoing(Moved(n=n), correlation_id="a"))
        await until(lambda n=n: len(recorder.published) == n + 1)
    await asyncio.gather(active.stop(), standby.stop())
    await other.stop()


async def test_a_rolled_back_message_is_never_published(db: Database) -> None:
    recorder = Recorder()
    relay, outbox = Relay(db, recorder), Outbox(db)
    await relay.start()
    with pytest.raises(VersionConflict):
        async with db.transaction() as tx:
            await outbox.add(tx, outgoing(Moved(n=1), correlation_id="a"))
            raise VersionConflict("a", 1)
    await outbox.add(db, outgoing(Moved(n=2), correlation_id="a"))
    await until(lambda: empty(db))
    assert recorder.bodies() == [b'{"n":2}']
    await relay.stop()


class Statements:
    """Counts what a relay asks the database, and when it asks for rows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.fetches: list[float] = []
        run, fetch = Database._run, OutboxRows.fetch

        async def counted(*arguments: Any) -> Any:
            self.count += 1
            return await run(*arguments)

        async def fetched(*arguments: Any) -> Any:
            self.fetches.append(time.monotonic())
            return await fetch(*arguments)

        monkeypatch.setattr(Database, "_run", counted)
        monkeypatch.setattr(OutboxRows, "fetch", fetched)


async def test_an_empty_outbox_is_looked_at_once_a_second_and_leaves_no_span(
    db: Database, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = Statements(monkeypatch)
    relay = Relay(db, Recorder())
    await relay.start()
    await until(lambda: len(statements.fetches) >= 3)
    fetches, asked = list(statements.fetches), statements.count
    await relay.stop()
    # The first waits for nothing; later ones for the whole of POLL, however slow the machine is.
    assert fetches[2] - fetches[1] >= POLL * 0.9
    renewals = 2 * (fetches[2] - fetches[0]) / POLL
    assert asked < 12 + 2 * renewals
    assert spans.get_finished_spans() == ()


async def test_a_dead_broker_is_not_hammered(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = 0

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.transport.abort()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    topology = ServiceTopology(service="pieces", events=["piece.*"])
    broker = Broker(f"amqp://a:b@127.0.0.1:{port}/v", topology)
    statements = Statements(monkeypatch)
    starting = asyncio.create_task(broker.start())
    relay = Relay(db, Publisher(broker))
    await relay.start()
    await Outbox(db).add(db, outgoing(Moved(n=1), correlation_id="a"))
    began = time.monotonic()
    await until(lambda: connections >= 2 and time.monotonic() - began > WATCHED)
    tried, looked = connections, len(statements.fetches)
    starting.cancel()
    await asyncio.gather(relay.stop(), broker.stop())
    server.close()
    # Waits double from 0.1 s, each random up to its bound: about 12 by two connections in 2 s.
    assert tried < 50
    assert looked < 50
    assert await db.fetchval("SELECT attempts FROM weft.outbox") == 0
