"""What stands between the broker and its consumers: a double of each message, another order."""

import asyncio
import contextlib
import random
from typing import Final, Protocol

from aiormq.abc import AbstractChannel, DeliveredMessage

from tests.chaos.broker import LOST, VHOST, Rabbit

COPIES: Final = "chaos.copies"
MARK: Final = "x-chaos-copy"
LATEST_COPY: Final = 3.0
"""Seconds that a copy is held back at most: it overtakes what its message has led to."""
HELD: Final = 0.3
"""Seconds that messages are kept from their consumer before they are given back."""


class Meddler(Protocol):
    """`count` says how many messages it had in hand."""

    count: int

    async def run(self, end: float) -> None:
        """Meddle until `end` by the loop's clock; raises what LOST names, alone or in a group."""


async def meddle(meddler: Meddler, seconds: float) -> int:
    """Let it work for so long, over losses of the connection; return how many messages it had."""
    end = _now() + seconds
    while _now() < end:
        lost = False
        try:
            await meddler.run(end)
        except* LOST:
            lost = True
        if not lost:
            break
        await asyncio.sleep(0.3)
    return meddler.count


class Doubler:
    """Publishes each message once more, from a queue of its own beside the mesh's queues."""

    def __init__(self, rabbit: Rabbit, chance: random.Random) -> None:
        self._rabbit = rabbit
        self._chance = chance
        self.count = 0

    async def run(self, end: float) -> None:
        async with self._rabbit.channel() as channel, asyncio.TaskGroup() as under_way:
            await self._bind(channel)

            async def take(message: DeliveredMessage) -> None:
                if MARK not in (message.header.properties.headers or {}):
                    under_way.create_task(self._again(channel, message))

            await channel.basic_consume(COPIES, take, no_ack=True)
            while await _goes_on(channel, end - LATEST_COPY):
                pass
            await channel.queue_delete(COPIES)

    async def _bind(self, channel: AbstractChannel) -> None:
        await channel.queue_declare(COPIES, durable=True, arguments={"x-queue-type": "classic"})
        await channel.queue_bind(COPIES, "weft.events", "#")
        source = await self._rabbit.api("GET", f"exchanges/{VHOST}/weft.commands/bindings/source")
        for key in {binding["routing_key"] for binding in source}:
            await channel.queue_bind(COPIES, "weft.commands", key)

    async def _again(self, channel: AbstractChannel, message: DeliveredMessage) -> None:
        await asyncio.sleep(self._chance.uniform(0, LATEST_COPY))
        properties = message.header.properties
        properties.headers = {**(properties.headers or {}), MARK: 1}
        with contextlib.suppress(*LOST):
            await channel.basic_publish(
                message.body,
                exchange=message.exchange or "",
                routing_key=message.routing_key or "",
                properties=properties,
            )
            self.count += 1


class Shuffler:
    """Takes messages away from their consumers and gives them back in another order."""

    def __init__(self, rabbit: Rabbit, queues: tuple[str, ...], chance: random.Random) -> None:
        self._rabbit = rabbit
        self._queues = queues
        self._chance = chance
        self.count = 0

    async def run(self, end: float) -> None:
        held: list[int] = []

        async def take(message: DeliveredMessage) -> None:
            held.append(message.delivery_tag or 0)

        async with self._rabbit.channel() as channel:
            await channel.basic_qos(prefetch_count=8)
            for queue in self._queues:
                await channel.basic_consume(queue, take)
            while await _goes_on(channel, end):
                tags, held[:] = list(held), []
                self._chance.shuffle(tags)
                for tag in tags:
                    await channel.basic_nack(tag, requeue=True)
                self.count += len(tags)


async def _goes_on(channel: AbstractChannel, end: float) -> bool:
    """Wait a moment; tell whether there is time, and a channel."""
    await asyncio.sleep(HELD)
    return _now() < end and not channel.is_closed


def _now() -> float:
    return asyncio.get_running_loop().time()
