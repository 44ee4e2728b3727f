"""What faults do to messages: they wait, are refused or are poisoned, and none of them is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.integration.messaging.kit import Collected, Ping, Rabbit, ping, until
from weft.flags import faults
from weft.messaging import Broker, Consumer, Incoming, Publisher, Rejected, decode
from weft.messaging.poison import poisoning
from weft.messaging.topology import QueueSpec

Connect = Callable[..., Awaitable[Broker]]
QUEUE = "shop.commands"


@pytest.fixture
async def consumer(
    connect: Connect, collected: Collected
) -> AsyncIterator[tuple[Broker, Consumer]]:
    """A consumer of shop.commands that reads what it is given."""

    def read(incoming: Incoming) -> None:
        decode(Ping, incoming.version, incoming.body)

    collected.raises = read
    broker = await connect()
    consumer = Consumer(broker, QUEUE, collected)
    await consumer.start()
    yield broker, consumer
    await consumer.stop()


async def test_a_paused_consumer_leaves_messages_where_they_are_and_goes_on(
    consumer: tuple[Broker, Consumer],
    collected: Collected,
    rabbit: Rabbit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker, _ = consumer
    with monkeypatch.context() as patch:
        patch.setitem(faults.ACTIVE, faults.CONSUMER_PAUSED, 1.0)
        await Publisher(broker).publish_batch([ping(n) for n in range(20)])

        async def waiting() -> bool:
            return await rabbit.ready(QUEUE) == 20

        await until(waiting)
        assert collected.messages == []
    await until(lambda: len(collected.messages) == 20)
    assert set(collected.attempts) == {1}


async def test_a_refused_publish_is_no_loss_for_who_publishes_again(
    consumer: tuple[Broker, Consumer],
    collected: Collected,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publisher = Publisher(consumer[0])
    messages = [ping(n) for n in range(200)]
    with monkeypatch.context() as patch:
        patch.setitem(faults.ACTIVE, faults.PUBLISH_FAILURES, 50.0)
        outcomes = await publisher.publish_batch(messages)
    refused = [m for m, outcome in zip(messages, outcomes, strict=True) if outcome is not None]
    assert 50 < len(refused) < 150
    assert all(isinstance(outcome, Rejected | None) for outcome in outcomes)
    assert await publisher.publish_batch(refused) == [None] * len(refused)
    await until(lambda: len(collected.messages) == 200)
    assert {m.id for m in collected.messages} == {m.id for m in messages}


async def test_poison_is_dead_at_once_and_stands_beside_the_others(
    consumer: tuple[Broker, Consumer],
    collected: Collected,
    rabbit: Rabbit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(faults.ACTIVE, faults.POISON_MESSAGES, 100.0)
    publisher = Publisher(consumer[0])
    work = asyncio.ensure_future(poisoning(publisher, QueueSpec(name=QUEUE), "Ping")())
    good = ping(1)
    await publisher.publish(good)
    letter = await rabbit.take(f"{QUEUE}.dead")
    work.cancel()
    headers = letter.header.properties.headers or {}
    assert headers["x-weft-reason"] == "unparsable"
    await until(lambda: good.id in {m.id for m in collected.messages})
