"""Weft's consumer with its inbox."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from benchmarks.bench import chassis
from benchmarks.bench.consume.job import CONCURRENCY, INSERT, PREFETCH, QUEUE, SCHEMA, Made, filled
from benchmarks.bench.subject import Meter, Place
from weft.messaging import Consumer, Incoming
from weft.postgres import Handlers, Transaction
from weft.postgres.inbox import Outcome, exactly_once


@asynccontextmanager
async def singly(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Handle each message in a transaction of its own."""
    async with _consuming(place, meter, together=False, concurrency=CONCURRENCY, messages=20_000):
        yield


@asynccontextmanager
async def together(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Handle those in hand at the same time in one transaction."""
    async with _consuming(place, meter, together=True, concurrency=PREFETCH, messages=50_000):
        yield


@asynccontextmanager
async def _consuming(
    place: Place, meter: Meter, *, together: bool, concurrency: int, messages: int
) -> AsyncIterator[None]:
    take = Handlers()

    @take.on(Made, together=together)
    async def made(tx: Transaction, message: Made, _: Incoming) -> None:
        await tx.execute(INSERT, message.name, message.amount)

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(chassis.telemetry())
        broker = await enter(filled(place, messages))
        db = await enter(chassis.database(place, SCHEMA))
        handle = exactly_once(db, QUEUE, take)

        async def counted(incoming: Incoming) -> Outcome:
            outcome = await handle(incoming)
            meter.units += 1
            return outcome

        consumer = Consumer(broker, QUEUE, counted, prefetch=PREFETCH, concurrency=concurrency)
        await consumer.start()
        stack.push_async_callback(consumer.stop)
        yield
