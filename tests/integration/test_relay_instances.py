"""Relays as processes that are killed, stopped, continued and terminated, on the real parts."""

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import aio_pika
import pytest

from tests.integration.relay_program import TOPOLOGY
from weft.messaging import Broker, Event, Incoming, Publisher, outgoing
from weft.postgres import Database, Handlers, Outbox, Relay, Transaction, exactly_once
from weft.postgres.leases import Lease
from weft.postgres.relay import LEASE

PROGRAM = Path(__file__).with_name("relay_program.py")
DEADLINE = 60.0
"""Generous: what is promised is proven by epochs and by what arrives, not by the clock."""

QUEUE = "pieces.events"


class Moved(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "piece.moved"
    n: int


class Instance:
    """A relay in a process of its own."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def said(self, word: str) -> str:
        """Wait until it has said a line that begins with `word`; return the rest of the line."""
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            while line := (await self.process.stdout.readline()).decode():
                if line.startswith(word):
                    return line.removeprefix(word).strip()
        pytest.fail(f"it ended without saying {word}")

    async def ended(self) -> int:
        async with asyncio.timeout(DEADLINE):
            return await self.process.wait()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
async def broker(broker_url: str) -> AsyncIterator[Broker]:
    part = Broker(broker_url, TOPOLOGY)
    await part.start()
    yield part
    await part.stop()


@asynccontextmanager
async def instance(database_url: str, broker_url: str, mode: str) -> AsyncIterator[Instance]:
    """Give one while it runs; what is left of it at the end is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, database_url, broker_url, mode, stdout=PIPE
    )
    try:
        yield Instance(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(condition: Callable[[], Awaitable[object]], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not await condition():
        assert time.monotonic() < end, f"{what} did not come true"
        await asyncio.sleep(0.01)


async def empty(db: Database) -> bool:
    return bool(await db.fetchval("SELECT NOT EXISTS (SELECT 1 FROM weft.outbox)"))


async def arrived(url: str) -> list[tuple[str, str, bytes]]:
    """Take what is in the queue: identity, key and body of each, in order."""
    connection = await aio_pika.connect(url)
    found = []
    async with connection:
        source = await (await connection.channel()).get_queue(QUEUE, ensure=False)
        while message := await source.get(no_ack=True, fail=False):
            found.append((message.message_id or "", message.correlation_id or "", message.body))
    return found


async def test_when_the_active_instance_is_killed_another_takes_over_and_nothing_is_stranded(
    db: Database,
    broker: Broker,
    database_url: str,
    broker_url: str,
    record_property: Callable[[str, object], None],
) -> None:
    outbox, sent = Outbox(db), []
    async with instance(database_url, broker_url, "plain") as first:
        epoch = int(await first.said("active"))
        standby = Relay(db, Publisher(broker))
        await standby.start()

        async def write(rounds: range) -> None:
            for n in rounds:
                for key in ("a", "b", "c"):
                    message = outgoing(Moved(n=n), correlation_id=key)
                    sent.append(message.id)
                    await outbox.add(db, message, key=key)

        await write(range(20))
        writing = asyncio.create_task(write(range(20, 60)))
        await first.said("batch")
        assert not standby.active
        first.process.kill()
        killed = time.monotonic()
        await first.ended()

        async def taken_over() -> bool:
            return standby.active

        await until(taken_over, "the take-over")
        took = time.monotonic() - killed
        await writing
    assert await db.fetchval("SELECT epoch FROM weft.leases WHERE name = $1", LEASE) == epoch + 1
    await until(lambda: empty(db), "the empty outbox")
    await standby.stop()
    found = await arrived(broker_url)
    assert {identity for identity, _, _ in found} == set(sent)
    for key in ("a", "b", "c"):
        own = list(dict.fromkeys(body for _, correlation, body in found if correlation == key))
        assert own == [b'{"n":%d}' % n for n in range(60)]
    record_property("takeover_seconds", took)
    print(f"taken over {took:.2f} s after kill -9")  # noqa: T201 - pytest -rP shows it


async def test_a_stopped_instance_that_goes_on_deletes_nothing_and_its_duplicates_have_no_effect(
    db: Database, broker: Broker, database_url: str, broker_url: str
) -> None:
    await db.execute("CREATE TABLE effects (n int)")
    message = outgoing(Moved(n=1), correlation_id="a")
    async with instance(database_url, broker_url, "stop") as zombie:
        await zombie.said("active")
        await Outbox(db).add(db, message)
        assert await zombie.said("published") == "1"  # and now it is stopped
        other = Lease(db, LEASE)
        await until(other.acquire, "the take-over")
        zombie.process.send_signal(signal.SIGCONT)
        assert await zombie.said("settled") == "False"
        assert await db.fetchval("SELECT count(*) FROM weft.outbox") == 1
        zombie.process.kill()
        await zombie.ended()
    await other.release()
    relay = Relay(db, Publisher(broker))
    await relay.start()
    await until(lambda: empty(db), "the empty outbox")
    await relay.stop()
    found = await arrived(broker_url)
    assert [identity for identity, _, _ in found] == [message.id, message.id]

    handlers = Handlers()

    @handlers.on(Moved)
    async def moved(tx: Transaction, message: Moved, _: Incoming) -> None:
        await tx.execute("INSERT INTO effects VALUES ($1)", message.n)

    handle = exactly_once(db, QUEUE, handlers)
    assert [await handle(_incoming(*one)) for one in found] == ["processed", "duplicate"]
    assert await db.fetchval("SELECT count(*) FROM effects") == 1


async def test_sigterm_in_the_middle_of_a_batch_publishes_it_once_and_hands_over(
    db: Database, broker: Broker, database_url: str, broker_url: str
) -> None:
    del broker
    sent = [outgoing(Moved(n=n), correlation_id="a") for n in range(10)]
    async with instance(database_url, broker_url, "hold") as active:
        await active.said("active")
        await Outbox(db).add(db, *sent)
        await active.said("batch")
        assert await arrived(broker_url) == []
        active.process.terminate()
        assert await active.ended() == 0
    assert [identity for identity, _, _ in await arrived(broker_url)] == [one.id for one in sent]
    assert await empty(db)
    assert await db.fetchval("SELECT expires_at < now() FROM weft.leases WHERE name = $1", LEASE)


async def test_of_two_instances_one_is_active_and_no_row_is_published_twice(
    db: Database, broker: Broker, database_url: str, broker_url: str
) -> None:
    other = Database(database_url)
    await other.start()
    relays = [Relay(db, Publisher(broker)), Relay(other, Publisher(broker))]
    for relay in relays:
        await relay.start()
    outboxes = [Outbox(db), Outbox(other)]
    sent = [outgoing(Moved(n=n), correlation_id="a") for n in range(200)]
    for n, message in enumerate(sent):
        await outboxes[n % 2].add((db, other)[n % 2], message)
        assert sum(relay.active for relay in relays) <= 1
    await until(lambda: empty(db), "the empty outbox")
    await asyncio.gather(*(relay.stop() for relay in relays))
    await other.stop()
    found = [identity for identity, _, _ in await arrived(broker_url)]
    assert sorted(found) == sorted(one.id for one in sent)


def _incoming(identity: str, key: str, body: bytes) -> Incoming:
    return Incoming(
        id=identity,
        type="piece.moved",
        version=1,
        body=body,
        headers={},
        correlation_id=key,
        reply_to=None,
        attempt=1,
        redelivered=False,
        queue=QUEUE,
        exchange="weft.events",
        routing_key="piece.moved",
        at=time.time(),
    )
