"""The broker is away: said once, waited for, and everything goes on by itself."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pamqp.commands import Connection

from tests.integration.messaging.kit import SHORT, Collected, Ping, Rabbit, Wire, ping, until
from weft.errors import Unavailable
from weft.messaging import Broker, Consumer, Publisher, ServiceTopology, broker


class Said:
    """What was logged."""

    def __init__(self) -> None:
        self.records: list[str] = []

    def warning(self, message: str, **_: Any) -> None:
        self.records.append(message)

    info = warning


@pytest.fixture
async def remote(wire: Wire) -> AsyncIterator[Broker]:
    """A broker behind the wire, not started."""
    topology = ServiceTopology(service="shop", commands=[Ping], delays=SHORT)
    remote = Broker(wire.url, topology)
    yield remote
    await remote.stop()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said = Said()
    monkeypatch.setattr(broker, "_log", said)
    return said.records


async def test_start_waits_for_a_broker_that_is_away_and_says_so_once(
    wire: Wire, remote: Broker, said: list[str]
) -> None:
    starting = asyncio.create_task(remote.start())
    await until(lambda: said)
    with pytest.raises(Unavailable):
        await remote.check()
    await wire.mend()
    await starting
    await remote.check()
    assert said == ["broker is away", "broker is back"]


async def test_after_an_outage_publisher_and_consumer_go_on(
    wire: Wire, remote: Broker, said: list[str], collected: Collected
) -> None:
    await wire.mend()
    await remote.start()
    publisher, consumer = Publisher(remote), Consumer(remote, "shop.commands", collected)
    await consumer.start()
    await publisher.publish(ping(1))
    await until(lambda: len(collected.messages) == 1)
    await wire.cut()
    await until(lambda: said == ["broker is away"])
    with pytest.raises(Unavailable):
        await publisher.publish(ping(2))
    with pytest.raises(Unavailable):
        await consumer.check()
    await wire.mend()
    await until(lambda: said == ["broker is away", "broker is back"])
    await publisher.publish(ping(3))
    await until(lambda: b'{"number":3}' in [m.body for m in collected.messages])
    await consumer.check()
    await consumer.stop()


async def test_a_failed_message_waits_for_the_broker_and_keeps_its_attempts(
    wire: Wire, remote: Broker, rabbit: Rabbit, collected: Collected
) -> None:
    await wire.mend()
    await remote.start()
    failing = asyncio.Event()

    async def fails_while_cut(incoming: Any) -> Any:
        await collected(incoming)
        if len(collected.messages) == 1:
            await failing.wait()
            raise ValueError("after the wire was cut")
        return "processed"

    consumer = Consumer(remote, "shop.commands", fails_while_cut)
    await consumer.start()
    await Publisher(remote).publish(ping())
    await until(lambda: collected.messages)
    await wire.cut()
    failing.set()
    await wire.mend()
    await until(lambda: len(collected.messages) == 2)
    assert collected.attempts == [1, 1]
    await consumer.stop()

    async def empty() -> bool:
        return await rabbit.ready("shop.commands") == 0

    await until(empty)


async def test_stop_does_not_wait_for_a_broker_that_is_away(
    wire: Wire, remote: Broker, collected: Collected
) -> None:
    await wire.mend()
    await remote.start()
    consumer = Consumer(remote, "shop.commands", collected)
    await consumer.start()
    await wire.cut()
    async with asyncio.timeout(9):
        await consumer.stop()
        await remote.stop()


async def test_a_broker_that_blocks_publishers_is_unavailable_and_consuming_goes_on(
    wire: Wire, remote: Broker, collected: Collected
) -> None:
    await wire.mend()
    await remote.start()
    publisher = Publisher(remote)
    consumer = Consumer(remote, "shop.commands", collected)
    await publisher.publish_batch([ping(n) for n in range(10)])
    wire.say(Connection.Blocked(reason="low on memory"))

    async def blocked() -> bool:
        (outcome,) = await publisher.publish_batch([ping()])
        return isinstance(outcome, Unavailable) and "blocks publishers" in outcome.why

    await until(blocked)
    await consumer.start()
    await until(lambda: len(collected.messages) >= 10)
    wire.say(Connection.Unblocked())

    async def confirmed() -> bool:
        return await publisher.publish_batch([ping(11)]) == [None]

    await until(confirmed)
    await until(lambda: b'{"number":11}' in [m.body for m in collected.messages])
    await consumer.stop()


async def test_through_cuts_at_random_moments_every_message_is_handled_and_none_is_dead(
    wire: Wire, remote: Broker, rabbit: Rabbit, collected: Collected
) -> None:
    chance = random.Random(5)
    await wire.mend()
    await remote.start()
    collected.raises = lambda m: OSError() if m.attempt == 1 and m.id[-1] in "01" else None
    consumer = Consumer(remote, "shop.commands", collected)
    await consumer.start()
    publisher = Publisher(remote, deadline=2.0)
    open_messages = {message.id: message for message in map(ping, range(600))}
    wanted = set(open_messages)

    async def relay() -> None:
        while open_messages:
            batch = list(open_messages.values())[:50]
            for message, outcome in zip(batch, await publisher.publish_batch(batch), strict=True):
                assert outcome is None or isinstance(outcome, Unavailable)
                if outcome is None:
                    del open_messages[message.id]
            await asyncio.sleep(0)

    relaying = asyncio.create_task(relay())
    for _ in range(5):
        handled = len(collected.messages) + chance.randint(20, 90)
        await until(lambda least=handled: len(collected.messages) >= least or relaying.done())
        await wire.cut()
        await wire.mend()
    await relaying

    def all_handled() -> bool:
        return {m.id for m in collected.messages if collected.raises(m) is None} == wanted

    await until(all_handled, seconds=60)

    async def empty() -> bool:
        names = ["shop.commands", "shop.commands.retry.50ms"]
        return sum([await rabbit.ready(name) for name in names]) == 0

    await until(empty)
    await consumer.stop()
    assert max(collected.attempts) == 2
    assert await rabbit.ready("shop.commands.dead") == 0
