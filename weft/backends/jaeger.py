"""Traces as Jaeger's query API gives them, in the form that its own web pages ask for."""

from typing import Any

import msgspec

from weft.backends.trace import Span, Trace

_MICROSECONDS = 1_000_000


class _Tag(msgspec.Struct):
    key: str
    value: Any = None


class _Event(msgspec.Struct):
    fields: list[_Tag] = []


class _Reference(msgspec.Struct, rename="camel"):
    ref_type: str
    trace_id: str = msgspec.field(name="traceID")
    span_id: str = msgspec.field(name="spanID")


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str = msgspec.field(name="traceID")
    span_id: str = msgspec.field(name="spanID")
    process_id: str = msgspec.field(name="processID")
    operation_name: str
    start_time: int
    duration: int
    references: list[_Reference] = []
    tags: list[_Tag] = []
    logs: list[_Event] = []


class _Process(msgspec.Struct, rename="camel"):
    service_name: str


class _Trace(msgspec.Struct, rename="camel"):
    trace_id: str = msgspec.field(name="traceID")
    spans: list[_Span]
    processes: dict[str, _Process]


class _Traces(msgspec.Struct):
    data: list[_Trace] | None = None


_decoder = msgspec.json.Decoder(_Traces)


def traces(body: bytes) -> list[Trace]:
    """Return what Jaeger answered, without traces that have no spans; raise msgspec.DecodeError."""
    return [_trace(raw) for raw in _decoder.decode(body).data or [] if raw.spans]


def _trace(raw: _Trace) -> Trace:
    services = {key: process.service_name for key, process in raw.processes.items()}
    spans = [_span(span, services.get(span.process_id, "unknown")) for span in raw.spans]
    return Trace(raw.trace_id, sorted(spans, key=lambda span: (span.start, -span.duration)))


def _span(raw: _Span, service: str) -> Span:
    attributes = {tag.key: tag.value for tag in raw.tags}
    kind = attributes.pop("span.kind", "internal")
    return Span(
        trace_id=raw.trace_id,
        span_id=raw.span_id,
        parent_id=_parent(raw),
        links=[ref.span_id for ref in raw.references if ref.ref_type == "FOLLOWS_FROM"],
        service=service,
        name=raw.operation_name,
        kind=str(kind),
        start=raw.start_time / _MICROSECONDS,
        duration=raw.duration / _MICROSECONDS,
        error=_error(attributes, raw.logs),
        attributes=attributes,
    )


def _parent(raw: _Span) -> str | None:
    """A parent that is linked to as well is stored as FOLLOWS_FROM alone."""
    mine = [ref for ref in raw.references if ref.trace_id == raw.trace_id]
    mine.sort(key=lambda ref: ref.ref_type != "CHILD_OF")
    return mine[0].span_id if mine else None


def _error(attributes: dict[str, Any], events: list[_Event]) -> str | None:
    """The most telling of: the exception's message, the status' description, the error's type."""
    failed = attributes.pop("error", False)
    code = attributes.pop("otel.status_code", None)
    description = attributes.pop("otel.status_description", None)
    if not failed and code != "ERROR":
        return None
    kind = str(attributes.get("error.type") or "error")
    fields = {tag.key: tag.value for event in events for tag in event.fields}
    text = fields.get("exception.message") or description
    return f"{kind}: {text}" if text and text != kind else kind
