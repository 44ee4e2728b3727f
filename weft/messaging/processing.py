"""What happens to one message: handler, retry, dead letter, settlement."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Literal

from aiormq.abc import DeliveredMessage

from weft.errors import Unavailable
from weft.messaging import copies
from weft.messaging.backoff import Backoff
from weft.messaging.delivery import carrier, check, received
from weft.messaging.errors import Rejected, Unparsable, Unroutable
from weft.messaging.message import Incoming, Outgoing
from weft.messaging.publisher import Publisher
from weft.messaging.session import Session
from weft.messaging.topology import QueueSpec
from weft.telemetry import get_logger, record
from weft.telemetry.calls import ProcessCall
from weft.telemetry.fingerprint import ATTRIBUTE as FINGERPRINT
from weft.telemetry.fingerprint import fingerprint
from weft.telemetry.synthetic import ATTRIBUTE, is_synthetic

_log = get_logger(__name__)

TIRED = 50
"""Deliveries after which a message that is given back gets a fresh count, by a copy: the broker's
limit is for messages that kill their consumer, not for those that waited for a dependency."""

Handler = Callable[[Incoming], Awaitable[Literal["processed", "duplicate"]]]


class Processing:
    """The way of each message of `queue`. `deadline` is the handler's, in seconds."""

    def __init__(
        self,
        queue: QueueSpec,
        handler: Handler,
        publisher: Publisher,
        *,
        endless: Collection[str],
        deadline: float,
    ) -> None:
        self._queue = queue
        self._handler = handler
        self._publisher = publisher
        self._endless = frozenset(endless)
        self._deadline = deadline

    async def process(self, session: Session, delivered: DeliveredMessage) -> bool:
        """Bring one message to its end: acknowledged, or (False) left to be delivered again.

        If the handler finds a dependency away, `session` ends with it.
        """
        incoming = received(delivered, self._queue.name)
        call = self._begin(incoming)
        try:
            error = await self._handle(incoming, call)
            if isinstance(error, Unavailable):
                session.waiting.append(delivered)
                session.end(error)
            elif error is not None:
                call.outcome = await self._failed(session, incoming, error)
            if call.outcome:
                self._settle(session, delivered, call, incoming)
        except BaseException as caught:
            call.end(caught)
            raise
        call.end(error)
        return bool(call.outcome)

    async def give_back(self, session: Session, delivered: DeliveredMessage) -> None:
        """Return a message that nobody had in hand to its queue."""
        incoming = received(delivered, self._queue.name)
        count = incoming.headers.get("x-delivery-count", 0)
        tag = delivered.delivery_tag
        if count < TIRED or tag is None:
            session.give_back(delivered)
        elif await self._move(session, copies.again(incoming, self._queue)):
            session.acks.ack(tag)

    def _begin(self, incoming: Incoming) -> ProcessCall:
        call = record.process(
            queue=self._queue.name,
            routing_key=incoming.routing_key,
            message_type=incoming.type,
            message_id=incoming.id,
            body_bytes=len(incoming.body),
            carrier=carrier(incoming),
            conversation=incoming.correlation_id,
            attempt=incoming.attempt,
        )
        if is_synthetic():
            call.set(ATTRIBUTE, True)
        return call

    async def _handle(self, incoming: Incoming, call: ProcessCall) -> Exception | None:
        try:
            check(incoming)
            async with asyncio.timeout(self._deadline):
                call.outcome = await self._handler(incoming)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises has spent an attempt
            return error
        return None

    async def _failed(self, session: Session, incoming: Incoming, error: Exception) -> str:
        """Move a failed message on and return its outcome; "" if the session ended first."""
        delay = self._delay(incoming, error)
        if delay is not None:
            moved = await self._move(session, copies.retry(incoming, self._queue, delay))
            return "retried" if moved else ""
        letter = copies.dead(incoming, self._queue, error)
        if not await self._move(session, letter):
            return ""
        _log.error(
            "message is dead",
            **{
                "messaging.destination.name": self._queue.name,
                "messaging.message.id": incoming.id,
                "weft.message.type": incoming.type,
                "weft.message.attempt": incoming.attempt,
                "error.type": type(error).__qualname__,
                FINGERPRINT: fingerprint(error),
            },
        )
        return "dead"

    def _delay(self, incoming: Incoming, error: Exception) -> float | None:
        """Seconds until the next attempt; None if there is none."""
        delays = self._queue.delays
        if isinstance(error, Unparsable) or not delays:
            return None
        if incoming.attempt <= len(delays):
            return delays[incoming.attempt - 1]
        return delays[-1] if incoming.type in self._endless else None

    async def _move(self, session: Session, copy: Outgoing) -> bool:
        """Publish `copy`, trying as long as the original can still be acknowledged."""
        backoff = Backoff()
        said = False
        while session.alive:
            try:
                await self._publisher.publish(copy, traced=False)
            except (Unavailable, Rejected, Unroutable) as error:
                if not said:
                    said = True
                    _log.warning(
                        "message cannot be moved yet",
                        **{
                            "messaging.destination.name": copy.routing_key,
                            "weft.why": str(error),
                        },
                    )
                await asyncio.sleep(backoff.next())
            else:
                return True
        return False

    def _settle(
        self, session: Session, delivered: DeliveredMessage, call: ProcessCall, incoming: Incoming
    ) -> None:
        name = self._queue.name
        if session.alive and delivered.delivery_tag is not None:
            settlement = record.settle(
                queue=name, message_id=incoming.id, operation="ack", parent=call
            )
            session.acks.ack(delivered.delivery_tag, settlement)
