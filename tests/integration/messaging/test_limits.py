"""Full queues, odd handlers, and what a consumer tells about itself."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from tests.integration.messaging.kit import Collected, Pong, Rabbit, ping, until
from weft.errors import Unavailable
from weft.messaging import Broker, Consumer, Publisher, Rejected, meters, outgoing
from weft.telemetry import instruments

Connect = Callable[..., Awaitable[Broker]]
QUEUE = "shop.commands"


class Counted:
    """Stands where the counter is and keeps what is added."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def add(self, amount: int, attributes: dict[str, str], context: object = None) -> None:
        del context
        if not amount:  # a series begins
            return
        assert (amount, attributes["queue"]) == (1, QUEUE)
        self.outcomes.append(attributes["outcome"])


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()
    monkeypatch.setattr(instruments.consumer_messages, "_api", counted)
    return counted


async def fill(broker: Broker, queue: str) -> None:
    """Put messages into `queue` until the broker refuses more."""
    publisher = Publisher(broker)
    message = outgoing(Pong(number=0), correlation_id="c")
    direct = {"exchange": "shop.direct", "routing_key": queue}
    filler = msgspec.structs.replace(message, **direct)

    async def full() -> bool:
        (outcome,) = await publisher.publish_batch([filler])
        return isinstance(outcome, Rejected)

    await until(full)


async def test_a_full_dead_letter_queue_holds_the_message_until_there_is_room(
    connect: Connect, rabbit: Rabbit, collected: Collected
) -> None:
    broker = await connect(delays=(), max_length=3)
    await fill(broker, f"{QUEUE}.dead")
    collected.raises = lambda _: ValueError()
    consumer = Consumer(broker, QUEUE, collected)
    await consumer.start()
    message = ping()
    await Publisher(broker).publish(message)
    await until(lambda: collected.messages)
    taken = [await rabbit.take(f"{QUEUE}.dead") for _ in range(4)]
    ids = [found.header.properties.message_id for found in taken]
    while message.id not in ids:
        found = await rabbit.take(f"{QUEUE}.dead")
        ids.append(found.header.properties.message_id)
    await consumer.stop()
    assert len(collected.messages) == 1
    assert await rabbit.ready(QUEUE) == 0


async def test_stop_does_not_lose_a_message_that_could_not_be_moved(
    connect: Connect, rabbit: Rabbit, collected: Collected
) -> None:
    broker = await connect(delays=(), max_length=3)
    await fill(broker, f"{QUEUE}.dead")
    collected.raises = lambda _: ValueError()
    consumer = Consumer(broker, QUEUE, collected, drain=0.1)
    await consumer.start()
    await Publisher(broker).publish(ping())
    await until(lambda: collected.messages)
    await consumer.stop()

    async def given_back() -> bool:
        return await rabbit.ready(QUEUE) == 1

    await until(given_back)


async def test_each_outcome_is_counted_once(
    connect: Connect, rabbit: Rabbit, counted: Counted
) -> None:
    broker = await connect()
    results = iter(["processed", "duplicate", ValueError(), Unavailable("db", "away"), "processed"])

    async def handler(_: Any) -> Any:
        result = next(results, "processed")
        if isinstance(result, Exception):
            raise result
        return result

    consumer = Consumer(broker, QUEUE, handler, concurrency=1)
    await consumer.start()
    await Publisher(broker).publish_batch([ping(n) for n in range(4)])
    await rabbit.put_raw(QUEUE, b"?")
    await until(lambda: len(counted.outcomes) == 6)
    await consumer.stop()
    assert sorted(counted.outcomes) == [
        "dead",
        "duplicate",
        "processed",
        "processed",
        "processed",
        "retried",
    ]


async def test_gauges_show_bounds_hands_and_pauses(connect: Connect) -> None:
    labels = (("queue", QUEUE),)
    away = True
    go_on = asyncio.Event()

    async def handler(_: Any) -> Any:
        if away:
            raise Unavailable("db", "away")
        await go_on.wait()
        return "processed"

    async def check() -> None:
        if away:
            raise Unavailable("db", "away")

    broker = await connect()
    consumer = Consumer(broker, QUEUE, handler, prefetch=9, concurrency=4, resume_check=check)
    await consumer.start()
    assert (meters._prefetch[labels], meters._concurrency[labels]) == (9, 4)
    assert (meters._in_flight[labels], meters._paused[labels]) == (0, 0)
    await Publisher(broker).publish_batch([ping(n) for n in range(6)])
    await until(lambda: meters._paused[labels] == 1)
    away = False
    await until(lambda: meters._in_flight[labels] == 4)
    assert meters._paused[labels] == 0
    go_on.set()
    await until(lambda: meters._in_flight[labels] == 0)
    await consumer.stop()


async def test_without_a_resume_check_the_consumer_tries_again_after_the_back_off(
    connect: Connect, rabbit: Rabbit, collected: Collected
) -> None:
    broker = await connect()
    collected.raises = lambda _: Unavailable("db", "away") if len(collected.messages) < 4 else None
    consumer = Consumer(broker, QUEUE, collected)
    await consumer.start()
    await Publisher(broker).publish(ping())
    await until(lambda: len(collected.messages) == 4)
    await consumer.stop()
    assert set(collected.attempts) == {1}
    assert await rabbit.ready(QUEUE) == 0


async def test_a_consumer_that_does_not_run_is_not_ready(
    connect: Connect, collected: Collected
) -> None:
    consumer = Consumer(await connect(), QUEUE, collected)
    with pytest.raises(Unavailable, match="does not run"):
        await consumer.check()
    await consumer.start()
    await consumer.check()
    await consumer.stop()
    with pytest.raises(Unavailable, match="does not run"):
        await consumer.check()


async def test_more_in_hand_than_prefetched_is_not_possible_so_prefetch_grows(
    connect: Connect,
) -> None:
    in_hand = 0
    go_on = asyncio.Event()

    async def handler(_: Any) -> Any:
        nonlocal in_hand
        in_hand += 1
        await go_on.wait()
        return "processed"

    broker = await connect()
    consumer = Consumer(broker, QUEUE, handler, prefetch=1, concurrency=5)
    await consumer.start()
    await Publisher(broker).publish_batch([ping(n) for n in range(5)])
    await until(lambda: in_hand == 5)
    go_on.set()
    await consumer.stop()


async def test_two_consumers_share_a_queue_and_no_message_is_handled_twice(
    connect: Connect,
) -> None:
    first, second = Collected(), Collected()
    consumers = [
        Consumer(await connect(), QUEUE, first, prefetch=16),
        Consumer(await connect(), QUEUE, second, prefetch=16),
    ]
    for consumer in consumers:
        await consumer.start()
    sent = [ping(n) for n in range(500)]
    await Publisher(await connect()).publish_batch(sent)
    await until(lambda: len(first.messages) + len(second.messages) >= 500)
    for consumer in consumers:
        await consumer.stop()
    handled = sorted(m.id for m in first.messages + second.messages)
    assert handled == [m.id for m in sent]
    assert first.messages
    assert second.messages


async def test_reply_to_and_further_headers_survive_a_retry(
    connect: Connect, collected: Collected
) -> None:
    broker = await connect(commands=[])
    collected.raises = lambda m: ValueError() if m.attempt == 1 else None
    consumer = Consumer(broker, "shop.events", collected)
    await consumer.start()
    carrier = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "own": "kept"}
    message = outgoing(
        Pong(number=1), correlation_id="c", carrier=carrier, reply_to="orders.events"
    )
    await Publisher(broker).publish(message)
    await until(lambda: collected.attempts == [1, 2])
    await consumer.stop()
    for found in collected.messages:
        assert found.reply_to == "orders.events"
        assert found.headers["own"] == "kept"
        assert found.headers["traceparent"].split("-")[1] == "a" * 32
        assert found.routing_key == "pong.seen"
