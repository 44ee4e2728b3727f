"""A dead letter in an operator's words: why it is dead, and what is in it, without secrets."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from aio_pika.abc import AbstractIncomingMessage

from weft.messaging import headers
from weft.messaging.copies import redacted

TEXT_MOST = 300
"""Characters that are shown of a header or an error."""

BODY_MOST = 4096
"""Characters that are shown of a body."""

HEADERS_MOST = 64
"""Headers that are shown of a message."""

_PARSED_MOST = 1 << 20  # bytes; a longer body is shown as text, from its beginning
_NAMES = r"token|secret|passw|authorization|cookie|card|cvc|cvv|iban|e-?mail|api[-_]?key"
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)
_SECRET_FIELD = re.compile(
    rf'("[^"]{{0,64}}(?:{_NAMES})[^"]{{0,64}}"\s*:\s*)("[^"]*"?|[^,\s]+)', re.IGNORECASE
)
_VARYING = re.compile(r"\S*\d\S*")
_TRACE = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter of `queue`, the queue that it died in.

    `attempts` and `replays` count since it was last replayed, and how often it was; `failed_at` is
    when the first attempt failed, or else when the message was made. `group` is the error's
    fingerprint, by which its log records are known too. Where none was kept, it is the same for all
    letters of a queue, type and error; numbers and identities in its text do not tell apart.
    """

    queue: str
    group: str
    id: str
    type: str
    reason: str
    error_type: str
    error: str
    attempts: int
    replays: int
    failed_at: datetime | None
    trace_id: str
    correlation_id: str


class Contents(msgspec.Struct, frozen=True):
    """What a message holds, bounded and without secrets. `size` is the body's, in bytes."""

    headers: dict[str, str]
    body: str
    size: int


def letter(message: AbstractIncomingMessage, queue: str) -> Letter:
    """Return what a message of `queue`'s dead letters says about itself; any message will do."""
    found = message.headers
    death = _death(found)
    kind = _shown(message.type)
    reason = _shown(found.get(headers.REASON) or death.get("reason") or "unknown")
    error_type = _shown(found.get(headers.ERROR_TYPE))
    error = _shown(found.get(headers.ERROR))
    traced = _TRACE.fullmatch(str(found.get("traceparent", "")))
    told = (queue, kind, reason, error_type, _VARYING.sub("#", error))
    return Letter(
        queue=queue,
        group=_shown(found.get(headers.FINGERPRINT))
        or hashlib.sha256("\0".join(told).encode()).hexdigest()[:8],
        id=_shown(message.message_id),
        type=kind,
        reason=reason,
        error_type=error_type,
        error=error,
        attempts=_count(found.get(headers.ATTEMPTS)),
        replays=_count(found.get(headers.REPLAYS)),
        failed_at=_time(found.get(headers.FIRST_FAILED_AT), death.get("time"), message.timestamp),
        trace_id=traced[1] if traced else "",
        correlation_id=_shown(message.correlation_id),
    )


def contents(message: AbstractIncomingMessage) -> Contents:
    """Return headers and body as they may be shown."""
    shown = list(message.headers.items())[:HEADERS_MOST]
    return Contents(
        {_shown(key): "***" if _SECRET_NAME.search(key) else _shown(value) for key, value in shown},
        _body(message.body),
        len(message.body),
    )


def origin(message: AbstractIncomingMessage) -> dict[str, str]:
    """Return the headers that say where a message was first published to."""
    death = _death(message.headers)
    keys = death.get("routing-keys")
    first = keys[0] if isinstance(keys, list) and keys else message.routing_key
    known = {
        headers.EXCHANGE: death.get("exchange", message.exchange),
        headers.ROUTING_KEY: first,
    }
    return {name: str(message.headers.get(name, value or "")) for name, value in known.items()}


def hidden(value: Any) -> Any:
    """Return a JSON value without what looks like a secret or a person, by its name or its form."""
    if isinstance(value, dict):
        return {
            key: "***" if _SECRET_NAME.search(key) else hidden(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [hidden(inner) for inner in value]
    return redacted(value) if isinstance(value, str) else value


def _death(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the broker itself says of a message that it has put aside."""
    deaths = found.get("x-death")
    first = deaths[0] if isinstance(deaths, list) and deaths else None
    return first if isinstance(first, dict) else {}


def _shown(value: object, most: int = TEXT_MOST) -> str:
    text = redacted(str("" if value is None else value)[: 2 * most])[:most]
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _body(body: bytes) -> str:
    try:
        parsed = msgspec.json.decode(body[:_PARSED_MOST])
        return _shown(msgspec.json.encode(hidden(parsed)).decode(), BODY_MOST)
    except (ValueError, RecursionError):  # not JSON, or cut off, or too deep
        text = body[: 4 * BODY_MOST].decode(errors="replace")
        return _shown(_SECRET_FIELD.sub(r"\1***", text), BODY_MOST)


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 < value < 1 << 31 else 0


def _time(*values: object) -> datetime | None:
    """Return the first of `values` that is a time, in UTC."""
    for value in values:
        try:
            at = datetime.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            continue
        if isinstance(at, datetime):
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    return None
