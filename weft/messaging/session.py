"""One channel's worth of consuming: from its opening until it is closed or lost."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from aiormq.abc import AbstractConnection, ChannelFrame, DeliveredMessage
from aiormq.channel import Channel

from weft.errors import Unavailable
from weft.messaging.acks import Acks
from weft.messaging.talk import LOST, talk
from weft.messaging.wire import nack_frame


class Session:
    """Consumes from one queue. `waiting` holds what was delivered and is in nobody's hands (any
    more: a message whose handler found a dependency away waits to be given back).

    `ended` holds what ended it: the dependency that is away, or None when the channel is gone.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.acks = Acks(channel)
        self.waiting: deque[DeliveredMessage] = deque()
        self.taking = True
        self.ended: asyncio.Future[Unavailable | None] = channel.loop.create_future()
        self._tag = ""
        channel.closing.add_done_callback(self._lost)
        channel.on_consumer_cancel_callbacks.add(self._cancelled)

    async def consume(self, queue: str, prefetch: int, arrived: Callable[[], None]) -> None:
        """Begin; `arrived` is called after each message was put to the waiting ones."""

        async def deliver(message: DeliveredMessage) -> None:
            self.waiting.append(message)
            if self.taking:
                arrived()

        await talk(self.channel.basic_qos(prefetch_count=prefetch))
        answer = await talk(self.channel.basic_consume(queue, deliver))
        self._tag = answer.consumer_tag or ""

    @property
    def alive(self) -> bool:
        """Whether what is settled now still reaches the broker."""
        return not self.channel.is_closed

    def end(self, cause: Unavailable | None) -> None:
        """Take no further message into hand."""
        self.taking = False
        if not self.ended.done():
            self.ended.set_result(cause)

    async def cancel(self) -> None:
        """Ask for no more deliveries, once."""
        self.end(None)
        tag, self._tag = self._tag, ""
        if tag:
            with contextlib.suppress(*LOST):
                await talk(self.channel.basic_cancel(tag))

    def give_back(self, message: DeliveredMessage) -> None:
        """Return a delivery to its queue, for anybody to take."""
        tag = message.delivery_tag
        if tag is None or not self.alive:
            return
        # A full queue to the connection leaves the message to the channel's end, which returns it.
        with contextlib.suppress(asyncio.QueueFull):
            frame = ChannelFrame(nack_frame(self.channel.number, tag), should_close=False)
            self.channel.write_queue.put_nowait(frame)
            self.acks.forget(tag)

    async def close(self) -> None:
        """Send what is settled and close; the broker takes back the rest."""
        with contextlib.suppress(*LOST):
            await talk(self.acks.drain())
            await talk(self.channel.close())

    def _lost(self, _: object) -> None:
        self.acks.lost(ConnectionError("channel closed"))
        self.waiting.clear()
        self.end(None)

    def _cancelled(self, _: object) -> None:
        self.end(None)


async def open_session(connection: AbstractConnection) -> Session:
    """Open a channel to consume on."""
    channel = await talk(connection.channel(publisher_confirms=False, frame_buffer_size=1000))
    if not isinstance(channel, Channel):
        raise TypeError(type(channel))
    return Session(channel)
