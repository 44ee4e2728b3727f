"""The client libraries alone, as their documentation uses them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import aio_pika
import aiormq
from aiormq.channel import Channel
from pamqp.commands import Basic

from benchmarks.bench.publish.job import ARGUMENTS, BODY, EXCHANGE, IN_FLIGHT, QUEUE, TYPE
from benchmarks.bench.subject import Meter, Place, working


@asynccontextmanager
async def aio_pika_gather(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Publish with aio-pika, a gather of the messages in flight at a time."""
    connection = await aio_pika.connect(place.broker)
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    queue = await channel.declare_queue(QUEUE, durable=True, arguments=ARGUMENTS)
    exchange = await channel.get_exchange(EXCHANGE)
    await queue.bind(exchange, TYPE)

    def message() -> aio_pika.Message:
        return aio_pika.Message(
            BODY,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=str(uuid4()),
            correlation_id="bench",
            timestamp=datetime.now(UTC),
            type=TYPE,
            app_id="bench",
        )

    async def publish() -> None:
        while True:
            batch = (exchange.publish(message(), TYPE, mandatory=True) for _ in range(IN_FLIGHT))
            await asyncio.gather(*batch)
            meter.units += IN_FLIGHT

    async with connection, working(publish()):
        yield


@asynccontextmanager
async def aiormq_pipelined(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Publish with aiormq, by as many tasks as messages may be in flight."""
    connection = await aiormq.connect(place.broker)
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    if not isinstance(channel, Channel):
        raise TypeError(type(channel))
    await channel.queue_declare(QUEUE, durable=True, arguments=ARGUMENTS)
    await channel.queue_bind(QUEUE, EXCHANGE, TYPE)

    async def publish() -> None:
        while True:
            properties = Basic.Properties(
                content_type="application/json",
                delivery_mode=2,
                message_id=str(uuid4()),
                correlation_id="bench",
                timestamp=datetime.now(UTC),
                message_type=TYPE,
                app_id="bench",
            )
            await channel.basic_publish(
                BODY,
                exchange=EXCHANGE,
                routing_key=TYPE,
                properties=properties,
                mandatory=True,
                wait=False,
            )
            meter.units += 1

    async with working(*(publish() for _ in range(IN_FLIGHT))):
        yield
    await connection.close()
