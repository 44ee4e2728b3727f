"""Hearing what is told to every instance: lossy on purpose, for news that can be read elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiormq.abc import AbstractConnection, DeliveredMessage
from pamqp.common import FieldValue

from weft.errors import Unavailable
from weft.ids import uuid7
from weft.messaging.backoff import Backoff
from weft.messaging.broker import Broker
from weft.messaging.packing import News, unpacked
from weft.messaging.talk import LOST, talk, why
from weft.telemetry import get_logger

MAX_LENGTH: Final = 10_000
"""Messages that wait for a slow instance; of more, the oldest are gone."""

log = get_logger(__name__)


class Fanout:
    """Component: hears `exchange`, one of the topology's `fanouts`, on a queue of its own.

    The queue lives as long as the connection, so what is told while this instance is not connected
    is not heard: `connected` is called after each (new) beginning, to make it good. `heard` must
    not block.
    """

    def __init__(
        self,
        broker: Broker,
        exchange: str,
        heard: Callable[[News], None],
        *,
        connected: Callable[[], Awaitable[None]],
    ) -> None:
        self.name = f"{exchange} fanout"
        self._broker = broker
        self._exchange = exchange
        self._heard = heard
        self._connected = connected
        self._hearing = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin, and return when it hears."""
        self._supervisor = asyncio.create_task(self._supervise(), name=self.name)
        await self._hearing.wait()

    async def check(self) -> None:
        """Raise Unavailable while nothing is heard."""
        if self._supervisor is None or self._supervisor.done() or not self._hearing.is_set():
            raise Unavailable(self.name, "it does not hear")

    async def stop(self) -> None:
        """Hear no more; the queue goes with the broker's connection."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)

    async def _supervise(self) -> None:
        backoff = Backoff()
        while True:
            connection = await self._broker.consuming.connection()
            try:
                await self._hear(connection, backoff)
            except LOST as error:
                log.warning("fan-out not heard", **{"weft.why": why(error)})
            except Exception as error:
                log.exception("fan-out failed, trying again", error)
            finally:
                self._hearing.clear()
            await asyncio.sleep(backoff.next())

    async def _hear(self, connection: AbstractConnection, backoff: Backoff) -> None:
        """Hear until the channel is closed."""
        channel = await talk(connection.channel(publisher_confirms=False))
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def end(_: object) -> None:
            if not ended.done():
                ended.set_result(None)

        channel.closing.add_done_callback(end)
        try:
            queue = f"{self._exchange}.{uuid7()}"
            arguments: dict[str, FieldValue] = {
                "x-max-length": MAX_LENGTH,
                "x-overflow": "drop-head",
            }
            await talk(
                channel.queue_declare(queue, exclusive=True, auto_delete=True, arguments=arguments)
            )
            await talk(channel.queue_bind(queue, self._exchange, ""))
            await talk(channel.basic_consume(queue, self._deliver, no_ack=True))
            await self._connected()
            self._hearing.set()
            backoff.reset()
            await ended
        finally:
            if not channel.is_closed:
                await asyncio.gather(talk(channel.close()), return_exceptions=True)

    async def _deliver(self, message: DeliveredMessage) -> None:
        properties = message.header.properties
        body = msgspec.Raw(message.body)
        whole = News(properties.message_id or "", body, properties.headers or {})
        try:
            for news in unpacked(properties.message_type, whole):
                self._hear_one(news)
        except msgspec.DecodeError as error:
            log.exception("messages to every instance were not understood", error)

    def _hear_one(self, news: News) -> None:
        try:
            self._heard(news)
        except Exception as error:
            log.exception("a message to every instance failed", error)
