"""What a consumer counts is what the broker delivered, and what the database holds."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pamqp.commands import Basic

from tests.integration.messaging.kit import SHORT, Ping, Rabbit, Wire, named, ping, until
from weft.errors import Unavailable
from weft.messaging import (
    Broker,
    Consumer,
    Incoming,
    Outgoing,
    Publisher,
    ServiceTopology,
)
from weft.postgres import Database, Handlers, Transaction, exactly_once
from weft.telemetry import instruments

QUEUE = "shop.commands"
RETRIES = [f"{QUEUE}.retry.{delay * 1000:g}ms" for delay in SHORT]


class Counted:
    """Stands where the counter is and adds up."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()

    def add(self, amount: int, attributes: dict[str, str], context: object = None) -> None:
        del context
        assert attributes["queue"] == QUEUE
        self.outcomes[attributes["outcome"]] += amount


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counter = Counted()
    monkeypatch.setattr(instruments.consumer_messages, "_api", counter)
    return counter.outcomes


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.start()
    await database.execute("CREATE TABLE effects (n int)")
    yield database
    await database.stop()


@pytest.fixture
async def shop(wire: Wire) -> AsyncIterator[Broker]:
    await wire.mend()
    broker = Broker(wire.url, ServiceTopology(service="shop", commands=[Ping], delays=SHORT))
    await broker.start()
    yield broker
    await broker.stop()


def handlers() -> Handlers:
    """Every tenth message fails once, every fiftieth always."""
    registry = Handlers()

    @registry.on(Ping)
    async def take(tx: Transaction, message: Ping, incoming: Incoming) -> None:
        await tx.execute("INSERT INTO effects VALUES ($1)", message.number)
        if message.number % 50 == 1 or (message.number % 10 == 0 and incoming.attempt == 1):
            raise ValueError("no")

    return registry


async def publish(broker: Broker, messages: Sequence[Outgoing]) -> None:
    """Publish all, again where it is not known whether the broker has them."""
    publisher, left = Publisher(broker, deadline=2.0), list(messages)
    while left:
        outcomes = await publisher.publish_batch(left)
        assert all(outcome is None or isinstance(outcome, Unavailable) for outcome in outcomes)
        left = [one for one, outcome in zip(left, outcomes, strict=True) if outcome is not None]
        await asyncio.sleep(0.01 if left else 0)


async def done(rabbit: Rabbit) -> bool:
    return sum([await rabbit.ready(queue) for queue in (QUEUE, *RETRIES)]) == 0


async def test_outcomes_add_up_to_the_deliveries_on_the_wire_and_acks_are_sent_together(
    shop: Broker, wire: Wire, db: Database, rabbit: Rabbit, counted: Counter[str]
) -> None:
    messages = [ping(n) for n in range(250)]
    consumer = Consumer(shop, QUEUE, exactly_once(db, QUEUE, handlers()))
    publisher = Publisher(shop, deadline=60.0)  # what it does not know of, it would repeat
    for sent in (messages, messages[102:109]):  # a producer that repeats itself
        assert await publisher.publish_batch(sent) == [None] * len(sent)
    await rabbit.put_raw(QUEUE, b"?")
    await consumer.start()

    async def settled() -> bool:
        return await done(rabbit) and counted["dead"] == 6 and sum(counted.values()) == 298

    await until(settled, seconds=60)
    await consumer.stop()
    assert counted == {"processed": 245, "duplicate": 7, "retried": 40, "dead": 6}
    assert len(wire.said(Basic.Deliver)) == sum(counted.values())
    assert await db.fetchval("SELECT count(*) FROM effects") == counted["processed"]
    assert await rabbit.ready(f"{QUEUE}.dead") == counted["dead"]
    acks: list[Any] = wire.heard(Basic.Ack)
    assert any(ack.multiple for ack in acks)
    assert len(acks) < sum(counted.values())


async def test_outcomes_are_exact_through_cuts_at_random_moments(
    shop: Broker,
    wire: Wire,
    db: Database,
    rabbit: Rabbit,
    counted: Counter[str],
    spans: InMemorySpanExporter,
) -> None:
    chance = random.Random(7)
    consumer = Consumer(shop, QUEUE, exactly_once(db, QUEUE, handlers()))
    await consumer.start()
    for cut in range(3):
        await publish(shop, [ping(100 * cut + n) for n in range(100)])
        least = sum(counted.values()) + chance.randint(10, 60)
        await until(lambda least=least: sum(counted.values()) >= least, seconds=60)
        await wire.cut()
        await wire.mend()

    letters: list[str] = []

    async def settled() -> bool:
        letters.extend(await rabbit.take_all(f"{QUEUE}.dead"))
        effects = await db.fetchval("SELECT count(*) FROM effects")
        return await done(rabbit) and effects == 294 and len(set(letters)) == 6

    await until(settled, seconds=60)
    await consumer.stop()
    letters.extend(await rabbit.take_all(f"{QUEUE}.dead"))
    handled = Counter(
        str((span.attributes or {}).get("weft.message.outcome", ""))
        for span in named(spans, f"process {QUEUE}")
    )
    unsettled = handled.pop("", 0)  # the connection was lost before the failed one was moved
    assert handled == counted
    assert counted["processed"] == 294
    assert counted["dead"] <= len(letters) <= counted["dead"] + unsettled
    assert len(set(letters)) == 6
    assert len(wire.said(Basic.Deliver)) >= sum(counted.values()) + unsettled
