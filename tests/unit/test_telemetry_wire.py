"""What is encoded directly parses to what the official classes make of the same values."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._internal import (
    _encode_attributes,
    _encode_value,
)
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState

from weft.telemetry import wire
from weft.telemetry.fast.outbox import Outgoing
from weft.telemetry.fast.providers import Loggers, Tracers

TEXTS = st.text(max_size=300)
SCALARS = (
    TEXTS | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False) | st.booleans()
)
VALUES = st.recursive(
    SCALARS | st.none() | st.binary(max_size=200),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text(min_size=1, max_size=150)
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=8)


@given(VALUES)
def test_a_value_is_the_official_one(value: Any) -> None:
    assert AnyValue.FromString(wire.any_value(value)) == _encode_value(value)


@given(ATTRIBUTES)
def test_attributes_are_the_official_ones(attributes: dict[str, Any]) -> None:
    encoded = wire.repeated(b"\x0a", wire.pairs(attributes))
    theirs = ResourceMessage(attributes=_encode_attributes(attributes))
    assert ResourceMessage.FromString(encoded) == theirs


@given(NAMES, st.text(max_size=20_000))
def test_a_string_of_any_length_is_the_official_one(key: str, value: str) -> None:
    sized = wire.pair(key, value)
    (theirs,) = _encode_attributes({key: value})
    payload = theirs.SerializeToString()
    assert sized == wire.sized(payload)
    assert KeyValue.FromString(payload) == theirs


def test_what_otlp_cannot_hold_is_left_out_and_costs_nothing_else() -> None:
    attributes = {"a": 1, "big": 1 << 64, "object": object(), "lone": "\ud800", "b": "x"}
    found = ResourceMessage.FromString(wire.repeated(b"\x0a", wire.pairs(attributes)))
    assert [each.key for each in found.attributes] == ["a", "b"]


IDS = st.integers(1, (1 << 64) - 1)
STATES = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
    max_size=3,
)
CONTEXTS = st.builds(
    lambda trace, span, remote, state: SpanContext(
        trace, span, is_remote=remote, trace_state=TraceState(list(state.items()))
    ),
    st.integers(1, (1 << 128) - 1),
    IDS,
    st.booleans(),
    STATES,
)


@given(
    name=NAMES,
    kind=st.sampled_from(SpanKind),
    attributes=ATTRIBUTES,
    events=st.lists(st.tuples(NAMES, ATTRIBUTES, st.integers(0, (1 << 63) - 1)), max_size=3),
    links=st.lists(st.tuples(CONTEXTS, ATTRIBUTES), max_size=3),
    status=st.sampled_from([None, Status(StatusCode.OK), Status(StatusCode.ERROR, "why")]),
)
def test_a_librarys_span_is_the_official_one(
    name: str, kind: SpanKind, attributes: Any, events: Any, links: Any, status: Status | None
) -> None:
    resource = Resource({"service.name": "s"}, "https://schemas/r")
    outgoing = Outgoing(resource)
    tracers = Tracers(outgoing, lambda _: None, resource=resource)
    official = InMemorySpanExporter()
    TracerProvider.add_span_processor(tracers, SimpleSpanProcessor(official))
    span = tracers.get_tracer("lib", "1", "https://schemas/s", {"a": 1}).start_span(
        name, kind=kind, attributes=attributes, links=[Link(*each) for each in links]
    )
    for event in events:
        span.add_event(*event)
    if status is not None:
        span.set_status(status)
    span.end()
    (piece,) = outgoing.take()
    theirs = encode_spans(official.get_finished_spans())
    assert ExportTraceServiceRequest.FromString(piece.body) == theirs
    assert (piece.signal, piece.items, outgoing.take()) == ("traces", 1, [])


@given(body=VALUES, attributes=ATTRIBUTES, text=TEXTS, name=st.none() | NAMES, time=IDS)
def test_a_librarys_log_record_is_the_official_one(
    body: Any, attributes: Any, text: str, name: str | None, time: int
) -> None:
    resource = Resource({"service.name": "s"})
    outgoing = Outgoing(resource)
    loggers = Loggers(outgoing, lambda _: None, resource=resource)
    official = InMemoryLogRecordExporter()
    LoggerProvider.add_log_record_processor(loggers, SimpleLogRecordProcessor(official))
    loggers.get_logger("lib").emit(
        body=body,
        attributes=attributes,
        severity_text=text,
        event_name=name,
        timestamp=time,
        observed_timestamp=time,
    )
    (piece,) = outgoing.take()
    theirs = encode_logs(official.get_finished_logs())
    assert ExportLogsServiceRequest.FromString(piece.body) == theirs
