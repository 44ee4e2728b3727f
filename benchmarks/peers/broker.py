"""The broker of a service, and its unit of work: a transaction, and what is said after it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from faststream import AckPolicy
from faststream.rabbit import Channel, ExchangeType, QueueType, RabbitBroker, RabbitExchange
from faststream.rabbit import RabbitQueue as Queue
from opentelemetry import context, propagate
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.peers import telemetry
from benchmarks.peers.database import OutboxRow, sessions
from benchmarks.peers.messages import Command, Message

PREFETCH: Final = 16
"""Messages of a queue in hand at once, as in Weft's orders."""
OUTBOX: Final = os.environ.get("PEER_OUTBOX") == "true"
ACK: Final = AckPolicy.NACK_ON_ERROR
"""Acknowledge when the handler has returned: its transaction is committed by then."""

COMMANDS: Final = RabbitExchange("weft.commands", type=ExchangeType.DIRECT, durable=True)
EVENTS: Final = RabbitExchange("weft.events", type=ExchangeType.TOPIC, durable=True)

broker = RabbitBroker(
    os.environ["BROKER_URL"],
    default_channel=Channel(prefetch_count=PREFETCH, publisher_confirms=True),
    middlewares=telemetry.middlewares(),
    logger=None,
)


def queue(service: str, kind: type[Message]) -> Queue:
    """Return the queue of `service` for messages of a kind: durable, replicated."""
    return Queue(
        f"{service}.{kind.name}",
        queue_type=QueueType.QUORUM,
        durable=True,
        routing_key=kind.name,
    )


class Work:
    """A transaction under way. What is said in it leaves after the commit."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.said: list[Message] = []

    def say(self, message: Message) -> None:
        """Have `message` published."""
        self.said.append(message)


@asynccontextmanager
async def work() -> AsyncIterator[Work]:
    """Commit at the end of the block, then publish; with the outbox, leave that to the relay."""
    async with sessions.begin() as session:
        current = Work(session)
        yield current
        if OUTBOX:
            session.add_all(_row(message) for message in current.said)
    if OUTBOX:
        relay.wake()
    else:
        await asyncio.gather(*map(_say, current.said))


async def _say(message: Message) -> None:
    await _publish(
        message.model_dump(mode="json"),
        _exchange(message),
        message.name,
        str(message.order_id),
    )


async def _publish(
    body: dict[str, Any], exchange: RabbitExchange, routing_key: str, correlation_id: str
) -> None:
    await broker.publish(
        body,
        exchange=exchange,
        routing_key=routing_key,
        correlation_id=correlation_id,
        mandatory=exchange is COMMANDS,
        persist=True,
    )


def _exchange(message: Message) -> RabbitExchange:
    return COMMANDS if isinstance(message, Command) else EVENTS


def _row(message: Message) -> OutboxRow:
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return OutboxRow(
        exchange=_exchange(message).name,
        routing_key=message.name,
        body=message.model_dump(mode="json"),
        headers=headers,
        correlation_id=str(message.order_id),
    )


class Relay:
    """Publishes the rows of the outbox, and deletes them once the broker has confirmed."""

    BATCH: Final = 100
    POLL: Final = 1.0
    """Seconds between two looks, if nothing wakes it."""

    def __init__(self) -> None:
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Look at once: there is a new row."""
        self._awake.set()

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            self._awake.clear()
            while await self._batch():
                pass
            try:
                await asyncio.wait_for(self._awake.wait(), self.POLL)
            except TimeoutError:
                continue

    async def _batch(self) -> bool:
        async with sessions.begin() as session:
            wanted = select(OutboxRow).order_by(OutboxRow.id).limit(self.BATCH)
            rows = (await session.scalars(wanted.with_for_update(skip_locked=True))).all()
            if not rows:
                return False
            await asyncio.gather(*map(self._publish, rows))
            await session.execute(delete(OutboxRow).where(OutboxRow.id.in_([r.id for r in rows])))
        return True

    async def _publish(self, row: OutboxRow) -> None:
        """Publish in the trace of what caused the row."""
        exchange = COMMANDS if row.exchange == COMMANDS.name else EVENTS
        token = context.attach(propagate.extract(row.headers))
        try:
            await _publish(row.body, exchange, row.routing_key, row.correlation_id)
        finally:
            context.detach(token)


relay = Relay()


@asynccontextmanager
async def running() -> AsyncIterator[None]:
    """Have the broker connected and its subscribers at work, and the relay where there is one."""
    async with broker:
        await broker.start()
        publishing = asyncio.create_task(relay.run()) if OUTBOX else None
        try:
            yield
        finally:
            if publishing is not None:
                publishing.cancel()
