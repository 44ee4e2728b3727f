"""AMQP 0-9-1 frames of one publish, encoded in one go (specification 2.3.5, 4.2).

The client library builds three frame objects and a dictionary walk for each message; this is the
hot path of every relay, so the bytes are made directly.
"""

import struct
from collections.abc import Mapping

from weft.messaging.message import Outgoing

_FRAME_OVERHEAD = 8
_END = b"\xce"
_METHOD, _HEADER, _BODY = 1, 2, 3
_PERSISTENT = b"\x02"
_PUBLISH = b"\x00\x3c\x00\x28\x00\x00"  # class 60, method 40, reserved
_frame = struct.Struct(">BHI").pack
_content = struct.Struct(">HHQH").pack
_u32 = struct.Struct(">I").pack
_i64 = struct.Struct(">q").pack
_u64 = struct.Struct(">Q").pack
_settle = struct.Struct(">HHQB").pack
_REQUEUE = 2

# Presence bits of the properties, highest first, as they follow each other on the wire.
_CONTENT_TYPE, _HEADERS, _DELIVERY_MODE, _PRIORITY = 1 << 15, 1 << 13, 1 << 12, 1 << 11
_CORRELATION_ID, _REPLY_TO, _MESSAGE_ID, _TIMESTAMP = 1 << 10, 1 << 9, 1 << 7, 1 << 6
_TYPE, _APP_ID = 1 << 5, 1 << 3
_ALWAYS = _CONTENT_TYPE | _HEADERS | _DELIVERY_MODE | _CORRELATION_ID | _MESSAGE_ID | _TIMESTAMP
_ALWAYS |= _TYPE | _APP_ID
_JSON = b"\x10application/json"

SHORT = 255
"""Bytes that fit a short string: routing keys, ids, types."""


def type_name(message_type: str, version: int) -> str:
    """Return the `type` property: the message's type with its schema version."""
    return f"{message_type}.v{version}"


def publish_frames(
    message: Outgoing,
    headers: Mapping[str, str | int],
    *,
    app_id: str,
    channel: int,
    frame_max: int,
) -> bytes:
    """Return the bytes that publish `message` with `headers` on `channel`.

    `frame_max` is the connection's, in bytes. Raises ValueError if a short string has more than
    255 bytes.
    """
    method = b"".join(
        (
            _PUBLISH,
            _short(message.exchange),
            _short(message.routing_key),
            b"\x01" if message.mandatory else b"\x00",
        )
    )
    properties = _properties(message, headers, app_id)
    return b"".join(
        (
            _frame(_METHOD, channel, len(method)),
            method,
            _END,
            _frame(_HEADER, channel, len(properties)),
            properties,
            _END,
            *_body(message.body, channel, frame_max),
        )
    )


def _properties(message: Outgoing, headers: Mapping[str, str | int], app_id: str) -> bytes:
    flags = _ALWAYS
    priority = reply_to = b""
    if message.priority is not None:
        flags |= _PRIORITY
        priority = bytes((message.priority,))
    if message.reply_to is not None:
        flags |= _REPLY_TO
        reply_to = _short(message.reply_to)
    return b"".join(
        (
            _content(60, 0, len(message.body), flags),
            _JSON,
            _table(headers),
            _PERSISTENT,
            priority,
            _short(message.correlation_id),
            reply_to,
            _short(message.id),
            _u64(int(message.at)),
            _short(type_name(message.type, message.version)),
            _short(app_id),
        )
    )


def _body(body: bytes, channel: int, frame_max: int) -> list[bytes]:
    size = frame_max - _FRAME_OVERHEAD
    parts: list[bytes] = []
    for start in range(0, len(body), size):
        part = body[start : start + size]
        parts += (_frame(_BODY, channel, len(part)), part, _END)
    return parts


def _short(text: str) -> bytes:
    data = text.encode()
    if len(data) > SHORT:
        raise ValueError(f"more than {SHORT} bytes: {text[:40]}...")
    return bytes((len(data),)) + data


def _table(entries: Mapping[str, str | int]) -> bytes:
    parts: list[bytes] = []
    for key, value in entries.items():
        if isinstance(value, str):
            data = value.encode()
            parts += (_short(key), b"S", _u32(len(data)), data)
        else:
            parts += (_short(key), b"l", _i64(value))
    table = b"".join(parts)
    return _u32(len(table)) + table


def ack_frame(channel: int, delivery_tag: int, *, multiple: bool) -> bytes:
    """Return the bytes that acknowledge one delivery, or all open ones up to it."""
    return _frame(_METHOD, channel, 13) + _settle(60, 80, delivery_tag, int(multiple)) + _END


def nack_frame(channel: int, delivery_tag: int) -> bytes:
    """Return the bytes that give one delivery back to its queue."""
    return _frame(_METHOD, channel, 13) + _settle(60, 120, delivery_tag, _REQUEUE) + _END
