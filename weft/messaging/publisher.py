"""Confirmed, pipelined publishing: order of call is order on the wire."""

import asyncio
from collections.abc import Sequence

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel

from weft.errors import Unavailable
from weft.flags import faults
from weft.messaging.broker import Broker
from weft.messaging.confirms import Batch, Outcome, Slot, enter, fail_all
from weft.messaging.errors import Rejected
from weft.messaging.link import is_blocked
from weft.messaging.message import Outgoing
from weft.messaging.talk import LOST, talk, why
from weft.messaging.wire import publish_frames
from weft.telemetry import record
from weft.telemetry.calls import MessagingCall

IN_FLIGHT = 512
"""Messages that may wait for their confirm at one time."""

_CHUNK = 32


class Publisher:
    """Publishes on a channel of its own, opened when first needed and again after each loss.

    At most `in_flight` messages wait for their confirm; `deadline` is in seconds, for one batch.
    """

    def __init__(
        self, broker: Broker, *, in_flight: int = IN_FLIGHT, deadline: float = 10.0
    ) -> None:
        self._broker = broker
        self._deadline = deadline
        self._limit = max(in_flight, _CHUNK)
        self._in_flight = 0
        self._space = asyncio.Event()
        self._writing = asyncio.Lock()
        self._channel: Channel | None = None

    async def publish(self, message: Outgoing, *, traced: bool = True) -> None:
        """Publish one message and return when the broker has confirmed it.

        Raises Unroutable (mandatory, and no queue takes it), Rejected (a queue is full) or
        Unavailable (not known whether it was stored: publish it again with the same identity).
        """
        (outcome,) = await self.publish_batch((message,), traced=traced)
        if outcome is not None:
            raise outcome

    async def publish_batch(
        self, messages: Sequence[Outgoing], *, traced: bool = True
    ) -> list[Outcome]:
        """Publish `messages` in order and return the outcome of each, None where it is confirmed.

        One message that cannot be stored does not hold up the others. With `traced` each message
        gets a send span, child of the trace context in its headers; without, its headers go as
        they are.
        """
        if faults.value(faults.PUBLISH_FAILURES) is not None:
            return await self._with_failures(messages, traced=traced)
        return await self._publish(messages, traced=traced)

    async def _with_failures(self, messages: Sequence[Outgoing], *, traced: bool) -> list[Outcome]:
        refused = [faults.strikes(faults.PUBLISH_FAILURES) for _ in messages]
        sent = [each for each, out in zip(messages, refused, strict=True) if not out]
        outcomes = iter(await self._publish(sent, traced=traced))
        return [
            Rejected(message.exchange, message.routing_key) if out else next(outcomes)
            for message, out in zip(messages, refused, strict=True)
        ]

    async def _publish(self, messages: Sequence[Outgoing], *, traced: bool) -> list[Outcome]:
        batch = Batch(len(messages))
        if not messages:
            return []
        try:
            async with asyncio.timeout(self._deadline):
                async with self._writing:
                    await self._write(batch, messages, traced=traced)
                await batch.done
        except TimeoutError:
            return batch.outcomes(self._unavailable(f"no confirm within {self._deadline:g} s"))
        except Unavailable as error:
            return batch.outcomes(error)
        except LOST as error:
            return batch.outcomes(self._unavailable(why(error)))
        return batch.outcomes()

    async def _write(self, batch: Batch, messages: Sequence[Outgoing], *, traced: bool) -> None:
        position = 0
        while position < len(messages):
            channel = await self._open()
            chunk = _sendable(channel, messages[position : position + _CHUNK])
            if not chunk or self._in_flight + len(chunk) > self._limit:
                self._space.clear()
                await self._space.wait()
                continue
            frames = [
                self._enter(channel, batch, index, message, traced=traced)
                for index, message in enumerate(chunk, position)
            ]
            position += len(chunk)
            await self._put(channel, ChannelFrame(b"".join(frames), should_close=False))

    def _enter(
        self, channel: Channel, batch: Batch, index: int, message: Outgoing, *, traced: bool
    ) -> bytes:
        call = None
        headers = message.headers
        if traced:
            call = sending(message)
            headers = {**headers, **call.carrier}
        frames = publish_frames(
            message,
            headers,
            app_id=self._broker.service,
            channel=channel.number,
            frame_max=channel.connection.connection_tune.frame_max,
        )

        def left(message: Outgoing) -> None:
            self._in_flight -= 1
            self._space.set()
            channel.message_id_delivery_tag.pop(message.id, None)

        self._in_flight += 1
        enter(channel, Slot(batch, index, message, call, left), message)
        return frames

    async def _put(self, channel: Channel, frame: ChannelFrame) -> None:
        """Hand bytes to the connection. If that fails the channel's count is off: give it up."""
        queue = channel.write_queue
        if not queue.full():
            queue.put_nowait(frame)
            return
        try:
            await talk(channel.create_task(queue.put(frame)))
        except BaseException as error:
            self._channel = None
            fail_all(channel, error)
            raise

    async def _open(self) -> Channel:
        connection = self._broker.publishing.connection_now()
        if is_blocked(connection):
            raise self._unavailable("it blocks publishers (memory or disk alarm)")
        if self._channel is not None and not self._channel.is_closed:
            return self._channel
        channel = await talk(connection.channel(frame_buffer_size=1000))
        if not isinstance(channel, Channel):
            raise TypeError(type(channel))
        channel.closing.add_done_callback(lambda future: fail_all(channel, _reason(future)))
        self._channel = channel
        return channel

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable(self._broker.name, reason)


def sending(message: Outgoing) -> MessagingCall:
    """Begin the send span of `message`, child of the trace context in its headers."""
    return record.send(
        exchange=message.exchange,
        routing_key=message.routing_key,
        message_type=message.type,
        message_id=message.id,
        body_bytes=len(message.body),
        conversation=message.correlation_id,
        parent={k: v for k, v in message.headers.items() if isinstance(v, str)},
    )


def _sendable(channel: Channel, messages: Sequence[Outgoing]) -> Sequence[Outgoing]:
    """Return those of `messages`, from the first on, that may be in flight with what is.

    A returned message is known by its identity alone: of two mandatory ones of the same identity
    the wrong one would count as stored.
    """
    seen: set[str] = set()
    for position, message in enumerate(messages):
        if message.mandatory:
            if message.id in seen or message.id in channel.message_id_delivery_tag:
                return messages[:position]
            seen.add(message.id)
    return messages


def _reason(closed: asyncio.Future[object]) -> BaseException:
    if closed.cancelled():
        return ConnectionError("channel closed")
    return closed.exception() or ConnectionError("channel closed")
