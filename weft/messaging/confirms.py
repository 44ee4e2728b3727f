"""Who waits for which confirm."""

import asyncio
from collections.abc import Callable
from typing import cast

from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError, PublishError

from weft.errors import Unavailable
from weft.messaging.errors import Rejected, Unroutable
from weft.messaging.message import Outgoing
from weft.messaging.talk import why
from weft.telemetry.calls import MessagingCall

Outcome = Unroutable | Rejected | Unavailable | None
"""What became of a publish: None is confirmed."""


class Batch:
    """The outcomes of some publishes; `done` when each is known."""

    __slots__ = ("_open", "_outcomes", "done")

    def __init__(self, size: int) -> None:
        self._outcomes: dict[int, Outcome] = {}
        self._open = size
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, index: int, outcome: Outcome) -> None:
        """Note the outcome of publish `index`."""
        self._outcomes[index] = outcome
        if len(self._outcomes) == self._open and not self.done.done():
            self.done.set_result(None)

    def outcomes(self, otherwise: Outcome = None) -> list[Outcome]:
        """Return the outcomes in order of publish, `otherwise` where none is known."""
        return [self._outcomes.get(index, otherwise) for index in range(self._open)]


class Slot:
    """Stands in the library's table where it would keep a future for each unconfirmed publish.

    A future's callbacks go through the event loop one by one; a slot hands its outcome on directly.
    """

    __slots__ = ("_batch", "_call", "_index", "_left", "_message", "_open")

    def __init__(
        self,
        batch: Batch,
        index: int,
        message: Outgoing,
        call: MessagingCall | None,
        left: Callable[[Outgoing], None],
    ) -> None:
        self._batch = batch
        self._index = index
        self._message = message
        self._call = call
        self._left = left
        self._open = True

    def done(self) -> bool:
        """Tell whether the outcome is known."""
        return not self._open

    def cancelled(self) -> bool:
        """Nobody cancels a slot."""
        return False

    def set_result(self, _: object) -> None:
        """The broker has stored the message."""
        self._end(None)

    def set_exception(self, error: BaseException) -> None:
        """The broker has returned or refused the message, or its channel is gone."""
        message = self._message
        if isinstance(error, PublishError):
            self._end(Unroutable(message.exchange, message.routing_key))
        elif isinstance(error, DeliveryError):
            self._end(Rejected(message.exchange, message.routing_key))
        else:
            self._end(Unavailable("rabbitmq", why(error)))

    def _end(self, outcome: Outcome) -> None:
        self._open = False
        self._left(self._message)
        if self._call is not None:
            self._call.end(outcome)
        self._batch.settle(self._index, outcome)


def enter(channel: Channel, slot: Slot, message: Outgoing) -> None:
    """Take the channel's next publish for `slot`. The publish must follow without an await."""
    channel.delivery_tag += 1
    channel.confirmations[channel.delivery_tag] = cast("asyncio.Future[object]", slot)
    if message.mandatory:
        channel.message_id_delivery_tag[message.id] = channel.delivery_tag


def fail_all(channel: Channel, error: BaseException) -> None:
    """Tell everybody who waits on a lost channel."""
    waiting: list[object] = list(channel.confirmations.values())
    channel.confirmations.clear()
    for slot in waiting:
        if isinstance(slot, Slot):
            slot.set_exception(error)
