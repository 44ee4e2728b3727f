"""Copies of a message that failed: for its retry queue, and for its dead-letter queue."""

import re
from datetime import UTC, datetime

from weft.ids import uuid7
from weft.messaging import headers
from weft.messaging.errors import Unparsable
from weft.messaging.message import Incoming, Outgoing
from weft.messaging.topology import QueueSpec
from weft.messaging.wire import SHORT
from weft.telemetry.fingerprint import fingerprint

ERROR_LENGTH = 300
"""Characters of an error's text that a dead letter keeps: of its first line, without secrets."""

_TYPE_BYTES = SHORT - len(".v9999")
_SECRETS = re.compile(
    r"(?<=://)[^\s/@]+@"  # credentials in a URL
    r"|\beyJ[\w-]+\.[\w.-]+"  # a JWT
    r"|\b(?:tok|sk|pk|whsec)_[\w+/=]+"
    r"|(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])"  # a card number, and no part of an identity
    r"|[\w.+-]{1,64}@[\w-]{1,63}\.[\w.]+"  # an e-mail address
    r"|(?i:(?<=bearer )\S+|(?<=password=)\S+)"
)


def again(incoming: Incoming, queue: QueueSpec) -> Outgoing:
    """Return the same attempt once more: a fresh delivery count for a message given back often."""
    return _copy(incoming, queue, queue.name, {headers.ATTEMPT: incoming.attempt})


def retry(incoming: Incoming, queue: QueueSpec, delay: float) -> Outgoing:
    """Return the next attempt, to be delivered after `delay` seconds."""
    facts: dict[str, str | int] = {
        headers.ATTEMPT: incoming.attempt + 1,
        headers.FIRST_FAILED_AT: _first_failed_at(incoming),
    }
    return _copy(incoming, queue, queue.retry(delay), facts)


def dead(incoming: Incoming, queue: QueueSpec, error: Exception) -> Outgoing:
    """Return the dead letter: the message as it was, and why it is dead."""
    facts: dict[str, str | int] = {
        headers.REASON: "unparsable" if isinstance(error, Unparsable) else "attempts",
        headers.ERROR_TYPE: type(error).__qualname__[:SHORT],
        headers.ERROR: clean(str(error)),
        headers.FINGERPRINT: fingerprint(error),
        headers.ATTEMPTS: incoming.attempt,
        headers.FIRST_FAILED_AT: _first_failed_at(incoming),
    }
    return _copy(incoming, queue, queue.dead, facts)


def clean(text: str) -> str:
    """Return the first line of `text`, bounded, without what looks like a secret or a person."""
    first = text.strip().partition("\n")[0][: 4 * ERROR_LENGTH]
    return redacted(first)[:ERROR_LENGTH]


def redacted(text: str) -> str:
    """Return `text` without what looks like a secret or a person."""
    return _SECRETS.sub("***", text)


def _copy(
    incoming: Incoming, queue: QueueSpec, routing_key: str, facts: dict[str, str | int]
) -> Outgoing:
    kept = {
        key: value
        for key, value in incoming.headers.items()
        if isinstance(value, (str, int)) and (not key.startswith("x-") or key.startswith("x-weft-"))
    }
    origin = {headers.EXCHANGE: incoming.exchange, headers.ROUTING_KEY: incoming.routing_key}
    return Outgoing(
        id=incoming.id or uuid7(),
        exchange=queue.direct,
        routing_key=routing_key,
        type=incoming.type.encode()[:_TYPE_BYTES].decode(errors="ignore"),
        version=incoming.version,
        body=incoming.body,
        correlation_id=incoming.correlation_id,
        reply_to=incoming.reply_to,
        headers={**kept, **origin, **facts},
        mandatory=True,
        at=incoming.at,
    )


def _first_failed_at(incoming: Incoming) -> str:
    known = incoming.headers.get(headers.FIRST_FAILED_AT)
    return str(known) if known else datetime.now(UTC).isoformat(timespec="milliseconds")
