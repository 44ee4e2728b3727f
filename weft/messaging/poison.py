"""A fault: messages that nobody can read, in a service's own queue."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from weft.errors import WeftError
from weft.flags.faults import POISON_MESSAGES, value
from weft.ids import uuid7
from weft.messaging.message import Outgoing
from weft.messaging.publisher import Publisher
from weft.messaging.topology import QueueSpec
from weft.telemetry import get_logger

BODY: Final = b'{"poison": '
_SLOWEST: Final = 0.01

log = get_logger(__name__)


def poisoning(
    publisher: Publisher, queue: QueueSpec, message_type: str
) -> Callable[[], Awaitable[None]]:
    """Return what puts the fault's number of such messages into `queue` each second.

    They say that they are of `message_type`, and stand beside the others: none of those is lost.
    """

    async def work() -> None:
        while True:
            try:
                await publisher.publish(_poison(queue, message_type))
            except WeftError as error:
                log.warning("poison could not be published", **{"weft.why": str(error)})
            await asyncio.sleep(1 / max(_SLOWEST, value(POISON_MESSAGES) or 0))

    return work


def _poison(queue: QueueSpec, message_type: str) -> Outgoing:
    identity = uuid7()
    return Outgoing(
        id=identity,
        exchange=queue.direct,
        routing_key=queue.name,
        type=message_type,
        version=1,
        body=BODY,
        correlation_id=identity,
        mandatory=True,
        at=time.time(),
    )
