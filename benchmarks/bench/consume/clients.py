"""aio-pika, and asyncpg, as their documentation uses them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import asyncpg
import msgspec
from aio_pika.abc import AbstractIncomingMessage

from benchmarks.bench.consume.job import INSERT, POOL, PREFETCH, QUEUE, SCHEMA, Made, filled
from benchmarks.bench.subject import Meter, Place


@asynccontextmanager
async def ack_only(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Acknowledge each message."""

    async def handle(message: AbstractIncomingMessage) -> None:
        async with message.process():
            meter.units += 1

    async with filled(place, meter, 51_200):
        connection = await aio_pika.connect(place.broker)
        async with connection, connection.channel() as channel:
            await channel.set_qos(prefetch_count=PREFETCH)
            await (await channel.get_queue(QUEUE)).consume(handle)
            yield


@asynccontextmanager
async def transaction(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Insert a row in a transaction, and acknowledge the message after it."""
    async with (
        filled(place, meter, 12_800),
        asyncpg.create_pool(
            place.database, min_size=POOL, max_size=POOL, reset=_nothing_to_reset
        ) as pool,
    ):
        await pool.execute(SCHEMA[0])

        async def handle(message: AbstractIncomingMessage) -> None:
            async with message.process():
                made = msgspec.json.decode(message.body, type=Made)
                async with pool.acquire() as connection, connection.transaction():
                    await connection.execute(INSERT, made.name, made.amount)
            meter.units += 1

        connection = await aio_pika.connect(place.broker)
        async with connection, connection.channel() as channel:
            await channel.set_qos(prefetch_count=PREFETCH)
            await (await channel.get_queue(QUEUE)).consume(handle)
            yield


async def _nothing_to_reset(_: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Save the statement that the pool resets a session with, as Weft does."""
