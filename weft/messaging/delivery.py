"""A delivered message as handlers see it."""

import re
import time
from typing import Any

from aiormq.abc import DeliveredMessage

from weft.messaging import headers
from weft.messaging.errors import Unparsable
from weft.messaging.message import Incoming

_TYPE = re.compile(r"(.+)\.v([0-9]{1,4})")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def received(message: DeliveredMessage, queue: str) -> Incoming:
    """Return what was delivered from `queue`. It is still to be checked by `check`."""
    properties = message.header.properties
    found: dict[str, Any] = properties.headers or {}
    kind = _TYPE.fullmatch(properties.message_type or "")
    attempt = found.get(headers.ATTEMPT, 1)
    return Incoming(
        id=properties.message_id or "",
        type=kind[1] if kind else properties.message_type or "",
        version=int(kind[2]) if kind else 0,
        body=message.body,
        headers=found,
        correlation_id=properties.correlation_id or "",
        reply_to=properties.reply_to or None,
        attempt=attempt if isinstance(attempt, int) and attempt > 0 else 1,
        redelivered=bool(message.redelivered),
        queue=queue,
        exchange=str(found.get(headers.EXCHANGE, message.exchange or "")),
        routing_key=str(found.get(headers.ROUTING_KEY, message.routing_key or "")),
        at=properties.timestamp.timestamp() if properties.timestamp else time.time(),
    )


def check(incoming: Incoming) -> None:
    """Raise Unparsable if a message has no identity or no type with a schema version."""
    if not _UUID.fullmatch(incoming.id):
        raise Unparsable("message_id is not a UUID")
    if not incoming.version:
        raise Unparsable("type has no schema version")


def carrier(incoming: Incoming) -> dict[str, str]:
    """Return the headers that may hold trace context."""
    return {
        key: value
        for key, value in incoming.headers.items()
        if isinstance(value, str) and not key.startswith("x-")
    }
