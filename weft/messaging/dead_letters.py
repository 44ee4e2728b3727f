"""Dead letters in an operator's hands: looked at, sent back to their queue, or deleted.

Nothing is lost on the way. What is read stays the broker's until it is acknowledged, which happens
after the broker has confirmed the copy (or for what is to be deleted); the end of the connection,
however it comes, gives all else back. A crash between confirm and acknowledgement leaves the letter
beside its copy: the inbox knows the identity.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import aio_pika
import msgspec
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractExchange,
    AbstractIncomingMessage,
)
from aiormq.exceptions import DeliveryError, PublishError
from pamqp.common import FieldTable
from yarl import URL

from weft.errors import Unavailable
from weft.ids import uuid7
from weft.messaging import headers
from weft.messaging.errors import Rejected, Unroutable
from weft.messaging.letters import Letter, letter, origin
from weft.messaging.talk import LOST, talk, why
from weft.telemetry import attach, detach, get_logger, record

_log = get_logger(__name__)

Wanted = Callable[[Letter], bool]


class Done(msgspec.Struct):
    """The letters that were replayed or dropped, and those that were refused for their age.

    `stopped` is what came in between: the rest of the letters is where it was.
    """

    letters: list[Letter] = []
    refused: list[Letter] = []
    stopped: Unavailable | Unroutable | Rejected | None = None


class DeadLetters:
    """The dead letters of one broker.

    Each method looks at the first `limit` letters of a queue at most, and at none that came after
    it began. They are in the order in which they died, until a look leaves some out: what it saw
    and left is then behind the others.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    async def read(
        self, queue: str, limit: int
    ) -> AsyncIterator[tuple[Letter, AbstractIncomingMessage]]:
        """Give the dead letters of `queue`, in order, with their messages; or Unavailable."""
        async with self._channel() as channel:
            async for found in _letters(channel, queue, limit):
                yield found

    async def replay(
        self, queue: str, wanted: Wanted, *, limit: int, remembered: Wanted, force: bool = False
    ) -> Done:
        """Send the `wanted` letters of `queue` back to it, each as a first attempt.

        Identity and trace stay. One that is not `remembered` (the inbox could not tell a
        repetition) is refused; with `force` it is sent with a new identity.
        """
        done = Done()
        try:
            async with self._channel() as channel, self._channel(confirms=True) as publishing:
                exchange = await publishing.get_exchange(f"{_service(queue)}.direct", ensure=False)
                async for found, message in _letters(channel, queue, limit):
                    known = remembered(found)
                    if not wanted(found):
                        continue
                    if not known and not force:
                        done.refused.append(found)
                        continue
                    await _send(exchange, found, message, renamed=not known)
                    await talk(message.ack())
                    done.letters.append(found)
        except (Unavailable, Unroutable, Rejected) as error:
            done.stopped = error
        return done

    async def drop(self, queue: str, wanted: Wanted, *, limit: int) -> Done:
        """Delete the `wanted` letters of `queue` for ever."""
        done = Done()
        try:
            async with self._channel() as channel:
                async for found, message in _letters(channel, queue, limit):
                    if wanted(found):
                        await talk(message.ack())
                        done.letters.append(found)
                        _log.warning("dead letter dropped", **_facts(found))
        except Unavailable as error:
            done.stopped = error
        return done

    @contextlib.asynccontextmanager
    async def _channel(self, *, confirms: bool = False) -> AsyncIterator[AbstractChannel]:
        channel = self._connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        try:
            await talk(channel.initialize())
            yield channel
            await talk(channel.close())
        except LOST as error:
            raise Unavailable("rabbitmq", why(error)) from error
        finally:
            with contextlib.suppress(*LOST):
                await talk(channel.close())


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[DeadLetters]:
    """Connect as the operator of `url` (amqp://user:password@host:port/vhost); or Unavailable."""
    for library in ("aio_pika", "aiormq"):  # what they say of a lost connection is said here, once
        logging.getLogger(library).setLevel(logging.CRITICAL)
    named: FieldTable = {"connection_name": "dead letters"}
    connection = aio_pika.Connection(URL(url), client_properties=named)
    try:
        try:
            await talk(connection.connect())
        except LOST as error:
            raise Unavailable("rabbitmq", why(error)) from error
        yield DeadLetters(connection)
    finally:
        with contextlib.suppress(*LOST):
            await talk(connection.close())


async def _letters(
    channel: AbstractChannel, queue: str, limit: int
) -> AsyncIterator[tuple[Letter, AbstractIncomingMessage]]:
    source = await channel.get_queue(f"{queue}.dead", ensure=False)
    left = limit
    while left > 0 and (message := await talk(source.get(fail=False))) is not None:
        # What dies anew meanwhile, perhaps since it was replayed, is for another time.
        left = min(left - 1, message.message_count or 0)
        yield letter(message, queue), message
    # The end of the channel would give it back too, but later, and in another order.
    await talk(_give_back(channel))


async def _give_back(channel: AbstractChannel) -> None:
    """Return all that was got and not acknowledged."""
    broker = await channel.get_underlay_channel()
    await broker.basic_nack(0, multiple=True)


async def _send(
    exchange: AbstractExchange, found: Letter, message: AbstractIncomingMessage, *, renamed: bool
) -> None:
    """Publish the copy and return when the broker has confirmed it. Unroutable, Rejected."""
    identity = uuid7() if renamed else message.message_id or uuid7()
    kept = {
        key: value
        for key, value in message.headers.items()
        if key not in headers.OF_A_DEATH and (not key.startswith("x-") or key.startswith("x-weft-"))
    }
    facts: dict[str, str | int] = {**origin(message), headers.REPLAYS: found.replays + 1}
    if renamed:
        facts[headers.REPLAY_OF] = found.id
    with record.send(
        exchange=exchange.name,
        routing_key=found.queue,
        message_type=found.type.rpartition(".v")[0] or found.type,
        message_id=identity,
        body_bytes=len(message.body),
        conversation=found.correlation_id,
        parent={key: value for key, value in kept.items() if isinstance(value, str)},
        linked=True,
    ) as call:
        copy = _copy(message, identity, {**kept, **facts, **call.carrier})
        try:
            await talk(exchange.publish(copy, found.queue, mandatory=True))
        except PublishError:
            raise Unroutable(exchange.name, found.queue) from None
        except DeliveryError:
            raise Rejected(exchange.name, found.queue) from None
        token = attach(call.carrier)
        _log.info("dead letter replayed", **_facts(found))
        detach(token)


def _copy(
    message: AbstractIncomingMessage, identity: str, facts: dict[str, Any]
) -> aio_pika.Message:
    return aio_pika.Message(
        message.body,
        headers=facts,
        message_id=identity,
        type=message.type,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        app_id=message.app_id,
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        timestamp=message.timestamp,
        priority=message.priority,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )


def _facts(found: Letter) -> dict[str, str]:
    return {
        "messaging.destination.name": found.queue,
        "messaging.message.id": found.id,
        "weft.message.type": found.type,
    }


def _service(queue: str) -> str:
    return queue.partition(".")[0]
