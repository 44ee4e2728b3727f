"""OTLP's protobuf messages as bytes, encoded directly: half a microsecond an attribute.

Field numbers are those of opentelemetry/proto/common/v1/common.proto. What is written here parses
to what the official classes make of the same values, which property tests hold.
"""

import logging
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

_log = logging.getLogger(__name__)

_ONE_BYTE = 128
_64_BITS = (1 << 64) - 1
_double = struct.Struct("<d").pack
_BYTES = [bytes((n,)) for n in range(256)]


def varint(number: int) -> bytes:
    """Return a non-negative number in base 128, least significant group first."""
    if number < _ONE_BYTE:
        return _BYTES[number]
    groups = bytearray()
    while number >= _ONE_BYTE:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def sized(payload: bytes) -> bytes:
    """Return `payload` after its length."""
    length = len(payload)
    return (_BYTES[length] if length < _ONE_BYTE else varint(length)) + payload


@lru_cache(maxsize=4096)
def text(value: str) -> bytes:
    """Return a string that repeats, in UTF-8, after its length."""
    return sized(value.encode())


@lru_cache(maxsize=4096)
def _key(key: str) -> bytes:
    return b"\x0a" + text(key) + b"\x12"


@lru_cache(maxsize=1024)
def _short_strings(key: str) -> tuple[bytes, ...]:
    """Return what stands before a string of n bytes in a pair of `key`, by n."""
    start = _key(key)
    room = _ONE_BYTE - len(start) - 3
    return tuple(
        _BYTES[len(start) + 3 + n] + start + bytes((n + 2, 0x0A, n)) for n in range(max(room, 0))
    )


@lru_cache(maxsize=4096)
def _whole(key: str, number: int) -> bytes:
    return sized(_key(key) + sized(any_value(number)))


@lru_cache(maxsize=1024)
def _before_double(key: str) -> bytes:
    start = _key(key)
    return varint(len(start) + 10) + start + b"\x09\x21"


def pair(key: str, value: Any) -> bytes:
    """Return a KeyValue after its length.

    Raises TypeError or ValueError for a `value` that OTLP cannot hold.
    """
    kind = type(value)
    if kind is str:
        encoded: bytes = value.encode()
        short = _short_strings(key)
        length = len(encoded)
        if length < len(short):
            return short[length] + encoded
        return sized(_key(key) + sized(b"\x0a" + sized(encoded)))
    if kind is int:
        return _whole(key, value)
    if kind is float:
        return _before_double(key) + _double(value)
    return sized(_key(key) + sized(any_value(value)))


@lru_cache(maxsize=4096, typed=True)
def _again(key: str, value: Any) -> bytes:
    """Return the pair of a scalar that repeats; a tuple, say, would not be told from its like."""
    if type(value) in (str, int, bool):
        return pair(key, value)
    raise TypeError


def pairs(attributes: Mapping[str, Any]) -> list[bytes]:
    """Return `pair` of each attribute; one that OTLP cannot hold is left out, as the SDK does.

    Texts are expected to repeat.
    """
    try:
        return list(map(_again, attributes, attributes.values()))
    except (TypeError, ValueError):
        return [encoded for each in attributes.items() if (encoded := _pair_or_nothing(*each))]


def _pair_or_nothing(key: str, value: Any) -> bytes:
    try:
        return pair(key, value)
    except (TypeError, ValueError) as error:
        _log.warning("attribute %s cannot be sent: %s", key, type(error).__name__)
        return b""


def repeated(tag: bytes, messages: Iterable[bytes]) -> bytes:
    """Return a repeated field of messages that come after their lengths."""
    joined = tag.join(messages)
    return tag + joined if joined else b""


def any_value(value: Any) -> bytes:  # noqa: PLR0911 - one for each type
    """Return an AnyValue. Raises TypeError or ValueError for a value that it cannot hold."""
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, str):
        return b"\x0a" + sized(value.encode())
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            raise ValueError("an integer of OTLP has 64 bits")
        return b"\x18" + varint(value & _64_BITS)
    if isinstance(value, float):
        return b"\x21" + _double(value)
    if isinstance(value, bytes):
        return b"\x3a" + sized(value)
    if isinstance(value, Sequence):
        return b"\x2a" + sized(repeated(b"\x0a", [sized(any_value(each)) for each in value]))
    if isinstance(value, Mapping):
        return b"\x32" + sized(repeated(b"\x0a", pairs({str(k): v for k, v in value.items()})))
    raise TypeError(f"{type(value).__name__} is no value of OTLP")
