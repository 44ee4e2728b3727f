"""Consuming: acknowledged once, retried with delay, dead with a reason, paused, drained."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.integration.messaging.kit import Collected, Rabbit, ping, until
from weft.errors import Unavailable
from weft.ids import uuid7
from weft.messaging import Broker, Consumer, Incoming, Publisher, Unparsable
from weft.messaging.backoff import Backoff

Connect = Callable[..., Awaitable[Broker]]
Consume = Callable[..., Awaitable[Consumer]]
QUEUE = "shop.commands"


@pytest.fixture
async def consume() -> AsyncIterator[Consume]:
    """Start a consumer of shop.commands; it is stopped at the test's end."""
    started: list[Consumer] = []

    async def start(broker: Broker, handler: Any, **options: Any) -> Consumer:
        consumer = Consumer(broker, QUEUE, handler, **options)
        started.append(consumer)
        await consumer.start()
        return consumer

    yield start
    for consumer in started:
        await consumer.stop()


async def test_a_thousand_messages_are_handled_and_acknowledged_once_each(
    connect: Connect, consume: Consume, collected: Collected, rabbit: Rabbit
) -> None:
    broker = await connect()
    consumer = await consume(broker, collected)
    sent = [ping(n) for n in range(1000)]
    assert await Publisher(broker).publish_batch(sent) == [None] * 1000
    await until(lambda: len(collected.messages) >= 1000)
    await consumer.stop()
    assert sorted(m.id for m in collected.messages) == [m.id for m in sent]
    await empty(rabbit)


async def test_what_a_handler_gets_is_what_was_sent(
    connect: Connect, consume: Consume, collected: Collected
) -> None:
    broker = await connect()
    await consume(broker, collected)
    message = ping(7)
    await Publisher(broker).publish(message)
    await until(lambda: collected.messages)
    (found,) = collected.messages
    assert (found.id, found.type, found.version, found.body) == (
        message.id,
        "Ping",
        1,
        message.body,
    )
    assert (found.correlation_id, found.attempt, found.redelivered) == ("c-7", 1, False)
    assert (found.queue, found.exchange, found.routing_key) == (QUEUE, "weft.commands", "Ping")
    assert found.at == int(message.at)


async def test_a_failing_message_climbs_the_ladder_and_is_dead_with_its_reason(
    connect: Connect, consume: Consume, collected: Collected, rabbit: Rabbit
) -> None:
    broker = await connect()
    collected.raises = lambda _: ValueError("no such thing\nsecond line")
    await consume(broker, collected)
    message = ping()
    await Publisher(broker).publish(message)
    letter = await rabbit.take(f"{QUEUE}.dead")
    properties = letter.header.properties
    headers: dict[str, Any] = properties.headers or {}
    assert collected.attempts == [1, 2, 3, 4]
    assert {m.id for m in collected.messages} == {message.id}
    assert {m.routing_key for m in collected.messages} == {"Ping"}
    assert (properties.message_id, letter.body) == (message.id, message.body)
    assert properties.message_type == "Ping.v1"
    assert headers["x-weft-reason"] == "attempts"
    assert headers["x-weft-error-type"] == "ValueError"
    assert headers["x-weft-error"] == "no such thing"
    assert headers["x-weft-attempts"] == 4
    assert headers["x-weft-first-failed-at"].startswith("20")
    assert (headers["x-weft-exchange"], headers["x-weft-routing-key"]) == ("weft.commands", "Ping")
    await empty(rabbit)


async def test_a_message_that_succeeds_at_its_second_attempt_is_done(
    connect: Connect, consume: Consume, collected: Collected, rabbit: Rabbit
) -> None:
    broker = await connect()
    collected.raises = lambda m: OSError("try again") if m.attempt == 1 else None
    consumer = await consume(broker, collected)
    await Publisher(broker).publish(ping())
    await until(lambda: collected.attempts == [1, 2])
    await consumer.stop()
    await empty(rabbit)
    assert await rabbit.ready(f"{QUEUE}.dead") == 0


async def test_an_endless_type_has_no_last_attempt(
    connect: Connect, consume: Consume, collected: Collected, rabbit: Rabbit
) -> None:
    broker = await connect(delays=(0.01, 0.02, 0.03))
    collected.raises = lambda m: OSError("not yet") if m.attempt < 8 else None
    await consume(broker, collected, endless=["Ping"])
    await Publisher(broker).publish(ping())
    await until(lambda: collected.attempts == [1, 2, 3, 4, 5, 6, 7, 8])
    assert await rabbit.ready(f"{QUEUE}.dead") == 0


async def test_a_handler_that_takes_too_long_has_failed(
    connect: Connect, consume: Consume, rabbit: Rabbit
) -> None:
    async def stuck(_: Incoming) -> str:
        await asyncio.Event().wait()
        return "processed"

    broker = await connect(delays=())
    await consume(broker, stuck, deadline=0.05)
    await Publisher(broker).publish(ping())
    letter = await rabbit.take(f"{QUEUE}.dead")
    assert (letter.header.properties.headers or {})["x-weft-error-type"] == "TimeoutError"


@pytest.mark.parametrize(
    "properties",
    [
        {"message_id": "not-a-uuid", "message_type": "Ping.v1"},
        {"message_type": "Ping.v1"},
        {"message_id": uuid7(), "message_type": "Ping"},
        {"message_id": uuid7()},
    ],
    ids=["id is no UUID", "no id", "no version", "no type"],
)
async def test_a_message_that_is_not_ours_is_dead_at_once(
    connect: Connect,
    consume: Consume,
    collected: Collected,
    rabbit: Rabbit,
    properties: dict[str, Any],
) -> None:
    broker = await connect()
    await consume(broker, collected)
    await rabbit.put_raw(QUEUE, b"\xff\x00", **properties)
    letter = await rabbit.take(f"{QUEUE}.dead")
    headers: dict[str, Any] = letter.header.properties.headers or {}
    assert letter.body == b"\xff\x00"
    assert (headers["x-weft-reason"], headers["x-weft-attempts"]) == ("unparsable", 1)
    assert collected.messages == []


async def test_a_message_that_the_handler_cannot_parse_is_dead_at_once(
    connect: Connect, consume: Consume, collected: Collected, rabbit: Rabbit
) -> None:
    broker = await connect()
    collected.raises = lambda _: Unparsable("Ping version 1: number is missing")
    await consume(broker, collected)
    await Publisher(broker).publish(ping())
    await rabbit.take(f"{QUEUE}.dead")
    assert collected.attempts == [1]


async def test_a_lost_connection_delivers_again_and_spends_no_attempt(
    connect: Connect, consume: Consume, rabbit: Rabbit
) -> None:
    seen: list[Incoming] = []
    go_on = asyncio.Event()

    async def slow(incoming: Incoming) -> str:
        seen.append(incoming)
        await go_on.wait()
        return "processed"

    broker = await connect()
    consumer = await consume(broker, slow, concurrency=4)
    await Publisher(broker).publish_batch([ping(n) for n in range(20)])
    await until(lambda: len(seen) == 4)
    await until(lambda: rabbit.kill_connections("consuming"))
    go_on.set()
    await until(lambda: len({m.id for m in seen}) == 20 and len(seen) >= 24)
    await consumer.stop()
    await empty(rabbit)
    assert {m.attempt for m in seen} == {1}
    assert any(m.redelivered for m in seen)
    assert await rabbit.ready(f"{QUEUE}.dead") == 0


async def test_six_disconnects_bring_no_innocent_message_to_the_dead_letters(
    connect: Connect, consume: Consume, rabbit: Rabbit
) -> None:
    seen: list[Incoming] = []
    go_on = asyncio.Event()

    async def slow(incoming: Incoming) -> str:
        seen.append(incoming)
        await go_on.wait()
        return "processed"

    broker = await connect()
    consumer = await consume(broker, slow, prefetch=50, concurrency=1)
    await Publisher(broker).publish_batch([ping(n) for n in range(50)])
    for _ in range(6):
        await until(lambda: consumer._session and len(consumer._session.waiting) >= 49)
        await (await broker.consuming.connection()).close()
    go_on.set()
    await until(lambda: len({m.id for m in seen}) == 50)
    await consumer.stop()
    await empty(rabbit)
    assert {m.attempt for m in seen} == {1}
    assert await rabbit.ready(f"{QUEUE}.dead") == 0


async def test_while_a_dependency_is_away_the_consumer_holds_nothing_and_spends_no_attempt(
    connect: Connect, consume: Consume, collected: Collected, rabbit: Rabbit
) -> None:
    away = True
    checks = 0

    async def check() -> None:
        nonlocal checks
        checks += 1
        if away:
            raise Unavailable("postgres", "still down")

    broker = await connect()
    collected.raises = lambda _: Unavailable("postgres", "down") if away else None
    consumer = await consume(broker, collected, resume_check=check, concurrency=2)
    await Publisher(broker).publish_batch([ping(n) for n in range(10)])
    await until(lambda: checks >= 2)

    async def all_given_back() -> bool:
        return await rabbit.ready(QUEUE) == 10

    await until(all_given_back)
    tried = len(collected.messages)
    assert tried <= 2
    await until(lambda: checks >= 4)
    assert len(collected.messages) == tried
    away = False
    await until(lambda: len(collected.messages) == tried + 10)
    await consumer.stop()
    assert set(collected.attempts) == {1}
    await empty(rabbit)


async def test_a_message_given_back_often_gets_a_fresh_delivery_count(
    connect: Connect, consume: Consume, rabbit: Rabbit
) -> None:
    counts: list[int] = []
    seen: list[Incoming] = []

    async def handler(incoming: Incoming) -> str:
        count = int(incoming.headers.get("x-delivery-count", 0))
        counts.append(count)
        seen.append(incoming)
        if incoming.body == b'{"number":0}':
            raise Unavailable("postgres", "down")
        return "processed"

    broker = await connect()
    consumer = await consume(broker, handler, concurrency=1)
    consumer._pauses = Backoff(0.001, 0.001)
    await Publisher(broker).publish(ping(0))
    await until(lambda: len(counts) > 130, seconds=60)
    assert max(counts) < 100
    assert await rabbit.ready(f"{QUEUE}.dead") == 0
    assert {m.attempt for m in seen} == {1}


async def test_stop_at_any_moment_ends_at_once(connect: Connect, collected: Collected) -> None:
    chance = random.Random(3)
    broker = await connect()
    collected.raises = lambda _: Unavailable("postgres", "down")
    await Publisher(broker).publish(ping())
    for _ in range(60):
        consumer = Consumer(broker, QUEUE, collected)
        consumer._pauses = Backoff(0.001, 0.001)
        await consumer.start()
        await asyncio.sleep(chance.uniform(0, 0.03))
        async with asyncio.timeout(9):
            await consumer.stop()


async def test_stop_finishes_what_is_in_hand_and_gives_back_the_rest(
    connect: Connect, consume: Consume, rabbit: Rabbit
) -> None:
    started: list[str] = []
    finished: list[str] = []
    go_on = asyncio.Event()

    async def slow(incoming: Incoming) -> str:
        started.append(incoming.id)
        await go_on.wait()
        finished.append(incoming.id)
        return "processed"

    broker = await connect()
    consumer = await consume(broker, slow, concurrency=3, prefetch=10)
    await Publisher(broker).publish_batch([ping(n) for n in range(20)])
    await until(lambda: len(started) == 3)
    stopping = asyncio.create_task(consumer.stop())

    async def given_back() -> bool:
        return await rabbit.ready(QUEUE) == 17

    await until(given_back)
    assert not stopping.done()
    go_on.set()
    await stopping
    assert (len(started), len(finished)) == (3, 3)
    assert await rabbit.ready(QUEUE) == 17


async def test_stop_gives_back_what_is_not_finished_within_the_drain_time(
    connect: Connect, consume: Consume, rabbit: Rabbit
) -> None:
    started = asyncio.Event()

    async def stuck(_: Incoming) -> str:
        started.set()
        await asyncio.Event().wait()
        return "processed"

    broker = await connect()
    consumer = await consume(broker, stuck, drain=0.1)
    await Publisher(broker).publish(ping())
    await started.wait()
    await consumer.stop()

    async def given_back() -> bool:
        return await rabbit.ready(QUEUE) == 1

    await until(given_back)


async def test_no_more_than_the_bounds_are_held_and_in_hand(
    connect: Connect, consume: Consume, rabbit: Rabbit
) -> None:
    in_hand = most = 0

    async def counting(_: Incoming) -> str:
        nonlocal in_hand, most
        in_hand += 1
        most = max(most, in_hand)
        await asyncio.sleep(0)
        in_hand -= 1
        return "processed"

    broker = await connect()
    consumer = await consume(broker, counting, prefetch=8, concurrency=3)
    await Publisher(broker).publish_batch([ping(n) for n in range(300)])

    async def done() -> bool:
        session = consumer._session
        held = len(session.waiting) if session else 0
        assert held <= 8
        return await rabbit.ready(QUEUE) == 0 and in_hand == 0

    await until(done)
    assert most == 3


async def test_a_paused_consumer_leaves_messages_to_others_until_it_resumes(
    connect: Connect, consume: Consume, collected: Collected, rabbit: Rabbit
) -> None:
    broker = await connect()
    release = asyncio.Event()

    async def handler(incoming: Incoming) -> Any:
        consumer.pause()  # as who has no hand free
        await release.wait()
        return await collected(incoming)

    consumer = await consume(broker, handler, prefetch=1, concurrency=1)
    sent = [ping(n) for n in range(3)]
    await Publisher(broker).publish_batch(sent)
    release.set()
    await until(lambda: len(collected.messages) == 1)
    left: list[str] = []

    async def both_left() -> bool:
        left.extend(await rabbit.take_all(QUEUE))
        return len(left) >= 2

    await until(both_left)  # one may have been on its way to the consumer
    assert sorted(left) == [m.id for m in sent[1:]]
    await Publisher(broker).publish(ping(4))
    consumer.resume()
    await until(lambda: len(collected.messages) == 2)


async def test_a_consumer_that_starts_paused_takes_nothing_before_it_resumes(
    connect: Connect, collected: Collected
) -> None:
    broker = await connect()
    consumer = Consumer(broker, QUEUE, collected)
    consumer.pause()
    await consumer.start()
    await consumer.check()
    await Publisher(broker).publish(ping())
    consumer.resume()
    await until(lambda: len(collected.messages) == 1)
    await consumer.stop()


async def test_a_deleted_queue_comes_back_and_is_consumed_again(
    connect: Connect, consume: Consume, collected: Collected, rabbit: Rabbit
) -> None:
    broker = await connect()
    await consume(broker, collected)
    await rabbit.api("DELETE", f"queues/{rabbit.vhost}/{QUEUE}")
    publisher = Publisher(broker)

    async def routed_again() -> bool:
        return await publisher.publish_batch([ping()]) == [None]

    await until(routed_again)
    await until(lambda: collected.messages)


async def empty(rabbit: Rabbit) -> None:
    async def nothing_left() -> bool:
        return await rabbit.ready(QUEUE) == 0

    await until(nothing_left)
