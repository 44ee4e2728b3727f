"""Spans, log records and whole requests of OTLP as bytes.

Field numbers are those of opentelemetry/proto/trace/v1/trace.proto and logs/v1/logs.proto. Like the
SDK's exporter, and unlike the protobuf default, a span always has a status.
"""

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event
from opentelemetry.trace import Link, SpanContext, SpanKind, Status

from weft.telemetry import wire

# What has the same size in all of them: ids, times, flags.
_root = struct.Struct("<2s16s2s8sBQBQ2sI").pack
_child = struct.Struct("<2s16s2s8s2s8sBQBQ2sI").pack
_record = struct.Struct("<BQBQ").pack
_record_in_trace = struct.Struct("<BQBQBI2s16s2s8s").pack
_fixed64 = struct.Struct("<Q").pack
_fixed32 = struct.Struct("<I").pack
_LOCAL = 0x100
_REMOTE = 0x300
NO_STATUS = b"\x7a\x00"
FAILED = b"\x7a\x02\x18\x02"


def span(
    trace_id: int,
    span_id: int,
    parent_id: int,
    remote: bool,
    state: Mapping[str, str] | None,
    start_ns: int,
    end_ns: int,
    *fields: bytes,
) -> bytes:
    """Return a span as an item of its scope. `fields` are `named` and others already encoded."""
    trace, own = trace_id.to_bytes(16, "big"), span_id.to_bytes(8, "big")
    if parent_id:
        parent, flags = parent_id.to_bytes(8, "big"), _REMOTE if remote else _LOCAL
        fixed = _child(
            *(b"\x0a\x10", trace, b"\x12\x08", own, b"\x22\x08", parent),
            *(0x39, start_ns, 0x41, end_ns, b"\x85\x01", flags),
        )
    else:
        fixed = _root(
            b"\x0a\x10", trace, b"\x12\x08", own, 0x39, start_ns, 0x41, end_ns, b"\x85\x01", _LOCAL
        )
    if state:
        fixed += b"\x1a" + wire.text(_state(state))
    payload = b"".join((fixed, *fields))
    return _item_head(len(payload)) + payload


@lru_cache(maxsize=4096)
def named(name: str, kind: int) -> bytes:
    """Return name and kind of a span; `kind` is the id of a SpanKind, whose own hash is slow."""
    return b"\x2a" + wire.text(name) + _KINDS[kind]


_KINDS = {id(kind): b"\x30" + wire.varint(kind.value + 1) for kind in SpanKind}


class Extended(Protocol):
    """What a span may have beside its attributes."""

    @property
    def events(self) -> Any: ...
    @property
    def links(self) -> Any: ...
    @property
    def status(self) -> Status | None: ...
    @property
    def dropped_events(self) -> int: ...
    @property
    def dropped_links(self) -> int: ...


def rest_of(span: Extended, *, dropped: int) -> bytes:
    """Return the fields of a span for events, links, status and what the limits cost.

    `dropped` counts attributes.
    """
    return b"".join(
        (
            _count(b"\x50", dropped),
            wire.repeated(b"\x5a", map(_event, span.events or ())),
            _count(b"\x60", span.dropped_events),
            wire.repeated(b"\x6a", map(_link, span.links or ())),
            _count(b"\x70", span.dropped_links),
            _status(span.status),
        )
    )


def log_record(
    time_ns: int, observed_ns: int, trace_id: int, span_id: int, flags: int, *fields: bytes
) -> bytes:
    """Return a log record as an item of its scope. `fields` are `log_head` and others encoded."""
    if trace_id and span_id:
        trace, span = trace_id.to_bytes(16, "big"), span_id.to_bytes(8, "big")
        fixed = _record_in_trace(
            0x09, time_ns, 0x59, observed_ns, 0x45, flags, b"\x4a\x10", trace, b"\x52\x08", span
        )
    else:
        fixed = _record(0x09, time_ns, 0x59, observed_ns)
        fixed += b"\x45" + _fixed32(flags) if flags else b""
        fixed += b"\x4a\x10" + trace_id.to_bytes(16, "big") if trace_id else b""
        fixed += b"\x52\x08" + span_id.to_bytes(8, "big") if span_id else b""
    payload = b"".join((fixed, *fields))
    return _item_head(len(payload)) + payload


@lru_cache(maxsize=4096)
def _item_head(length: int) -> bytes:
    return b"\x12" + wire.varint(length)


def log_head(number: int, severity: str, body: Any) -> bytes:
    """Return severity and body of a log record."""
    return b"".join(
        (
            _count(b"\x10", number),
            b"\x1a" + wire.text(severity) if severity else b"",
            b"\x2a" + wire.sized(wire.any_value(body)),
        )
    )


def log_tail(dropped: int, event_name: str | None) -> bytes:
    """Return what few log records have."""
    return _count(b"\x38", dropped) + (b"\x62" + wire.text(event_name) if event_name else b"")


def scope(name: str, version: str, url: str, attributes: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return an instrumentation scope as what stands before and after its spans or records."""
    inner = b"".join(
        (
            b"\x0a" + wire.text(name) if name else b"",
            b"\x12" + wire.text(version) if version else b"",
            wire.repeated(b"\x1a", wire.pairs(attributes)),
        )
    )
    return b"\x0a" + wire.sized(inner), b"\x1a" + wire.text(url) if url else b""


def request(
    resource: "EncodedResource", scopes: Iterable[tuple[bytes, list[bytes], bytes]]
) -> bytes:
    """Return an export request (traces or logs: they have the same shape) of items by scope.

    They are copied once: megabytes, while everybody waits for the interpreter lock.
    """
    parts = [resource.head]
    for before, items, after in scopes:
        size = len(before) + sum(map(len, items)) + len(after)
        parts += (b"\x12", wire.varint(size), before, *items, after)
    parts.append(resource.tail)
    return b"".join((b"\x0a", wire.varint(sum(map(len, parts))), *parts))


class EncodedResource:
    """A resource as what stands before and after the scopes."""

    def __init__(self, resource: Resource) -> None:
        attributes = wire.repeated(b"\x0a", wire.pairs(resource.attributes))
        self.head = b"\x0a" + wire.sized(attributes)
        self.tail = b"\x1a" + wire.text(resource.schema_url) if resource.schema_url else b""


def only_link(context: SpanContext) -> bytes:
    """Return the field of a link that has no attributes."""
    return b"".join(
        (
            b"\x6a\x21\x0a\x10",
            context.trace_id.to_bytes(16, "big"),
            b"\x12\x08",
            context.span_id.to_bytes(8, "big"),
            b"\x35\x00\x03\x00\x00" if context.is_remote else b"\x35\x00\x01\x00\x00",
        )
    )


def _count(tag: bytes, number: int) -> bytes:
    return tag + wire.varint(number) if number else b""


def _state(state: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in state.items())


def _status(status: Status | None) -> bytes:
    if status is None:
        return NO_STATUS
    message = b"\x12" + wire.text(status.description) if status.description else b""
    return b"\x7a" + wire.sized(message + _count(b"\x18", status.status_code.value))


def _event(event: Event) -> bytes:
    return wire.sized(
        b"".join(
            (
                b"\x09" + _fixed64(event.timestamp),
                b"\x12" + wire.text(event.name),
                wire.repeated(b"\x1a", wire.pairs(event.attributes or {})),
                _count(b"\x20", event.dropped_attributes),
            )
        )
    )


def _link(link: Link) -> bytes:
    flags = 0x300 if link.context.is_remote else 0x100
    return wire.sized(
        b"".join(
            (
                b"\x0a\x10" + link.context.trace_id.to_bytes(16, "big"),
                b"\x12\x08" + link.context.span_id.to_bytes(8, "big"),
                wire.repeated(b"\x22", wire.pairs(link.attributes or {})),
                _count(b"\x28", link.dropped_attributes),
                b"\x35" + _fixed32(flags),
            )
        )
    )
