"""Weft's consumer with its inbox."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from benchmarks.bench import chassis
from benchmarks.bench.consume.job import (
    CONCURRENCY,
    INSERT,
    INSERT_MANY,
    PREFETCH,
    QUEUE,
    SCHEMA,
    Made,
    filled,
)
from benchmarks.bench.subject import Meter, Place
from weft.messaging import Consumer, Incoming
from weft.postgres import Handlers, Transaction
from weft.postgres.inbox import Outcome, exactly_once


@asynccontextmanager
async def ack_only(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Acknowledge each message."""

    async def counted(_: Incoming) -> Outcome:
        meter.units += 1
        return "processed"

    async with chassis.telemetry(), filled(place, meter, 51_200) as broker:
        consumer = Consumer(broker, QUEUE, counted, prefetch=PREFETCH, concurrency=CONCURRENCY)
        await consumer.start()
        try:
            yield
        finally:
            await consumer.stop()


@asynccontextmanager
async def singly(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Handle each message in a transaction of its own."""
    async with _consuming(place, meter, _one_by_one(), CONCURRENCY, messages=12_800):
        yield


@asynccontextmanager
async def together(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Handle those in hand at the same time in one transaction."""
    async with _consuming(place, meter, _one_by_one(together=True), PREFETCH, messages=30_720):
        yield


@asynccontextmanager
async def many(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Handle those in hand at the same time by one statement."""
    take = Handlers()

    @take.on_many(Made)
    async def made(tx: Transaction, messages: Sequence[tuple[Made, Incoming]]) -> None:
        names = [message.name for message, _ in messages]
        amounts = [message.amount for message, _ in messages]
        await tx.execute(INSERT_MANY, names, amounts)

    async with _consuming(place, meter, take, PREFETCH, messages=40_960):
        yield


def _one_by_one(*, together: bool = False) -> Handlers:
    take = Handlers()

    @take.on(Made, together=together)
    async def made(tx: Transaction, message: Made, _: Incoming) -> None:
        await tx.execute(INSERT, message.name, message.amount)

    return take


@asynccontextmanager
async def _consuming(
    place: Place, meter: Meter, take: Handlers, concurrency: int, *, messages: int
) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(chassis.telemetry())
        broker = await enter(filled(place, meter, messages))
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
