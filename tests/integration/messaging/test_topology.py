"""What the broker accepts, keeps and refuses."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.messaging.kit import SHORT, Collected, Ping, Pong, Rabbit, ping, until
from weft.messaging import (
    EVENTS,
    Broker,
    Consumer,
    Publisher,
    QueueSpec,
    ServiceTopology,
    TopologyError,
    outgoing,
)

Connect = Callable[..., Awaitable[Broker]]


async def arguments(rabbit: Rabbit, queue: str) -> dict[str, Any]:
    found: dict[str, Any] = await rabbit.api("GET", f"queues/{rabbit.vhost}/{queue}")
    assert found["durable"]
    return dict(found["arguments"])


async def test_queues_are_declared_with_every_argument_explicit(
    connect: Connect, rabbit: Rabbit
) -> None:
    await connect(delays=(1.0, 5.0, 30.0), max_length=1000)
    common = {
        "x-queue-type": "quorum",
        "x-max-length": 1000,
        "x-overflow": "reject-publish",
        "x-delivery-limit": 100,
    }
    dead_lettered = {
        "x-dead-letter-exchange": "shop.direct",
        "x-dead-letter-strategy": "at-least-once",
    }
    for kind in ("commands", "events"):
        queue = f"shop.{kind}"
        assert await arguments(rabbit, queue) == {
            **common,
            **dead_lettered,
            "x-dead-letter-routing-key": f"{queue}.dead",
        }
        for seconds in (1, 5, 30):
            assert await arguments(rabbit, f"{queue}.retry.{seconds}s") == {
                **common,
                **dead_lettered,
                "x-dead-letter-routing-key": queue,
                "x-message-ttl": seconds * 1000,
            }
        assert await arguments(rabbit, f"{queue}.dead") == {
            **common,
            "x-delivery-limit": 1_000_000_000,
        }


async def test_declaring_again_changes_nothing(connect: Connect, rabbit: Rabbit) -> None:
    await Publisher(await connect()).publish(ping())
    await connect()
    assert (await rabbit.take("shop.commands")).body == b'{"number":0}'


async def test_a_queue_that_exists_otherwise_is_named(connect: Connect, rabbit: Rabbit) -> None:
    body = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
    await rabbit.api("PUT", f"queues/{rabbit.vhost}/shop.commands", body)
    with pytest.raises(TopologyError, match=r"queue shop\.commands exists with other arguments"):
        await connect()


async def test_a_missing_exchange_is_named(connect: Connect, rabbit: Rabbit) -> None:
    await rabbit.api("DELETE", f"exchanges/{rabbit.vhost}/weft.events")
    with pytest.raises(TopologyError, match=r"shop\.events to exchange weft\.events"):
        await connect()


async def test_a_queue_with_priorities_delivers_the_urgent_first(
    connect: Connect, rabbit: Rabbit
) -> None:
    spec = QueueSpec(name="shop.requests", kind="priority", bindings=((EVENTS, "pong.seen"),))
    broker = await connect(commands=[], events=[], further=[spec])
    publisher = Publisher(broker)
    for number, priority in ((1, 0), (2, 9), (3, 5)):
        message = outgoing(Pong(number=number), correlation_id="c", priority=priority)
        await publisher.publish(message)
    bodies = [(await rabbit.take("shop.requests")).body for _ in range(3)]
    assert bodies == [b'{"number":2}', b'{"number":3}', b'{"number":1}']


async def test_a_retry_reaches_only_the_service_that_failed(connect: Connect) -> None:
    shop, bank = await connect("shop"), await connect("bank", commands=[])
    failing, content = Collected(), Collected()
    failing.raises = lambda m: ValueError() if m.attempt == 1 else None
    consumers = [
        Consumer(shop, "shop.events", failing),
        Consumer(bank, "bank.events", content),
    ]
    await asyncio.gather(*(consumer.start() for consumer in consumers))
    await Publisher(shop).publish(outgoing(Pong(number=1), correlation_id="c"))
    await until(lambda: failing.attempts == [1, 2])
    await asyncio.gather(*(consumer.stop() for consumer in consumers))
    assert content.attempts == [1]


async def test_rights_to_its_own_names_and_the_two_exchanges_are_enough(
    broker_url: str, rabbit: Rabbit, collected: Collected
) -> None:
    user = f"shop-{secrets.token_hex(4)}"
    await rabbit.api("PUT", f"users/{user}", {"password": user, "tags": ""})
    rights = {
        "configure": r"^shop\..*$",
        "write": r"^(shop\..*|weft\.events|weft\.commands)$",
        "read": r"^(shop\..*|weft\.events|weft\.commands)$",
    }
    await rabbit.api("PUT", f"permissions/{rabbit.vhost}/{user}", rights)
    parts = urlsplit(broker_url)
    url = parts._replace(netloc=f"{user}:{user}@{parts.hostname}:{parts.port}").geturl()
    topology = ServiceTopology(service="shop", commands=[Ping], events=["pong.*"], delays=SHORT)
    broker = Broker(url, topology)
    await broker.start()
    collected.raises = lambda _: ValueError()
    consumer = Consumer(broker, "shop.commands", collected)
    await consumer.start()
    await Publisher(broker).publish(ping())
    await rabbit.take("shop.commands.dead")
    await consumer.stop()
    await broker.stop()
    await rabbit.api("DELETE", f"users/{user}")
    assert collected.attempts == [1, 2, 3, 4]
