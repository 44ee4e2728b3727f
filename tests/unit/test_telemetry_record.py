"""What the seam makes of each kind of call, seen through the SDK's in-memory exporters."""

import asyncio
import json
from typing import Any

import pytest
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from weft.telemetry import fact, record
from weft.telemetry.calls import ServerCall
from weft.telemetry.context import extract, extract_from_outside
from weft.telemetry.setup import EdgeSampler

PARENT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
UNSAMPLED = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
FAR = {"namespace": "orders", "host": "127.0.0.1", "port": 5432}


class Signals:
    """Everything that was recorded since the test began."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.log_exporter = InMemoryLogRecordExporter()
        self.loggers = LoggerProvider()
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self.log_exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    @property
    def lines(self) -> list[Any]:
        return [data.log_record for data in self.log_exporter.get_finished_logs()]

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        found = [
            metric
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        return [point for metric in found for point in metric.data.data_points]


@pytest.fixture(scope="module")
def providers() -> Signals:
    signals = Signals()
    trace.set_tracer_provider(signals.tracers)
    metrics.set_meter_provider(signals.meters)
    _logs.set_logger_provider(signals.loggers)
    return signals


@pytest.fixture
def signals(providers: Signals) -> Signals:
    providers.exporter.clear()
    providers.log_exporter.clear()
    return providers


def serve(**options: Any) -> ServerCall:
    options = {"port": 8101, "headers": {}, **options}
    return record.http_server("POST", "/v1/orders/17", **options)


def test_a_served_request_becomes_a_span_a_point_with_exemplar_and_a_log_line(
    signals: Signals,
) -> None:
    with serve(headers={**PARENT, "user-agent": "curl/8"}, client="127.0.0.1") as call:
        call.route = "/v1/orders/{order_id}"
        call.status = 202
        call.set("weft.order.id", "17")
    span = signals.span
    assert (span.name, span.kind) == ("POST /v1/orders/{order_id}", SpanKind.SERVER)
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert span.attributes is not None
    assert span.attributes["http.route"] == "/v1/orders/{order_id}"
    assert span.attributes["http.response.status_code"] == 202
    assert span.attributes["weft.order.id"] == "17"
    assert span.attributes["user_agent.original"] == "curl/8"
    assert span.status.status_code is StatusCode.UNSET

    (point,) = signals.points("http.server.request.duration")
    assert dict(point.attributes) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "http.route": "/v1/orders/{order_id}",
        "http.response.status_code": 202,
    }
    assert point.exemplars[0].trace_id == span.context.trace_id
    assert point.exemplars[0].span_id == span.context.span_id

    (line,) = signals.lines
    assert (line.body, line.severity_text) == ("request served", "INFO")
    assert (line.trace_id, line.span_id) == (span.context.trace_id, span.context.span_id)
    assert line.attributes["url.path"] == "/v1/orders/17"
    assert line.attributes["weft.order.id"] == "17"
    assert line.attributes["duration"] > 0


def test_a_fact_reaches_the_request_in_hand_from_below_another_call(signals: Signals) -> None:
    fact("weft.order.id", "outside any call, it is dropped")
    with serve() as call:
        with record.http_client("PUT", "/x", host="h", port=1):
            fact("weft.order.id", "17")
        call.status = 200
    client, server = signals.spans
    assert "weft.order.id" not in (client.attributes or {})
    assert (server.attributes or {})["weft.order.id"] == "17"
    assert [line.attributes["weft.order.id"] for line in signals.lines] == ["17"]


def test_a_server_error_marks_the_span_and_the_line_and_a_client_error_does_not(
    signals: Signals,
) -> None:
    for status in (500, 404):
        with serve() as call:
            call.status = status
    failed, fine = signals.spans
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "500"
    assert fine.status.status_code is StatusCode.UNSET
    assert [line.severity_text for line in signals.lines] == ["ERROR", "INFO"]


def test_an_exception_is_recorded_on_the_span_and_its_line(signals: Signals) -> None:
    call = serve()
    call.status = 500
    call.end(RuntimeError("boom"))
    assert signals.span.events[0].name == "exception"
    (line,) = signals.lines
    assert line.attributes["exception.type"] == "RuntimeError"


def test_a_probe_makes_metrics_but_no_span_and_no_line_while_it_succeeds(signals: Signals) -> None:
    with record.http_server("GET", "/healthz", port=1, headers={}, traced=False) as call:
        call.route = "/healthz"
        call.status = 200
    assert signals.spans == []
    assert signals.lines == []
    routes = [dict(p.attributes) for p in signals.points("http.server.request.duration")]
    assert "/healthz" in [labels.get("http.route") for labels in routes]


def test_an_unsampled_request_has_no_span_but_a_trace_id_metrics_and_a_line(
    signals: Signals,
) -> None:
    with serve(headers=UNSAMPLED) as call:
        call.route = "/unsampled"
        call.status = 200
        assert call.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert signals.spans == []
    (line,) = signals.lines
    assert f"{line.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    (point,) = (
        p
        for p in signals.points("http.server.request.duration")
        if p.attributes.get("http.route") == "/unsampled"
    )
    assert point.exemplars == []


def test_a_callers_sampled_flag_counts_for_nothing_at_the_edge(signals: Signals) -> None:
    outside = {**UNSAMPLED, "baggage": "a=b", "tracestate": ",".join(f"k{n}=v" for n in range(30))}
    with serve(headers=outside, trusted=False) as call:
        call.status = 200
        assert "baggage" not in call.carrier
        assert len(call.carrier["tracestate"].split(",")) == 8
    assert f"{signals.span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"


def test_the_edge_decides_by_its_own_sampler() -> None:
    sampler = EdgeSampler(ParentBased(ALWAYS_OFF))
    inside, outside = extract(PARENT), extract_from_outside(PARENT)
    assert sampler.should_sample(inside, 1, "x").decision.is_sampled()
    assert not sampler.should_sample(outside, 1, "x").decision.is_sampled()


def test_a_client_call_carries_its_own_span_on(signals: Signals) -> None:
    with record.http_client("GET", "/v1/products/{sku}", host="h", port=8102, attempt=1) as call:
        carrier = call.carrier
        call.status = 404
    span = signals.span
    assert (span.name, span.kind) == ("GET /v1/products/{sku}", SpanKind.CLIENT)
    assert f"{span.context.span_id:016x}" in carrier["traceparent"]
    assert span.attributes is not None
    assert span.attributes["http.request.resend_count"] == 1
    assert span.attributes["error.type"] == "404"
    points = signals.points("http.client.request.duration")
    assert [
        p.attributes.get("error.type") for p in points if p.attributes["server.port"] == 8102
    ] == ["404"]


def test_a_message_is_one_trace_from_its_cause_through_send_and_process_to_settle(
    signals: Signals,
) -> None:
    ids = {"message_type": "ReserveStock", "message_id": "m1", "routing_key": "ReserveStock"}
    sent = record.send(exchange="weft.commands", body_bytes=9, parent=PARENT, **ids)
    carrier = sent.carrier
    sent.end()
    queue = "inventory.commands"
    process = record.process(queue=queue, body_bytes=9, carrier=carrier, attempt=2, **ids)
    with process:
        with record.sql("INSERT INTO reservations VALUES ($1)", **FAR):
            pass
        process.outcome = "processed"
    record.settle(queue=queue, message_id="m1", operation="ack", parent=process).end()

    send, sql, handled, ack = signals.spans
    assert {f"{s.context.trace_id:032x}" for s in signals.spans} == {PARENT["traceparent"][3:35]}
    assert [s.name for s in signals.spans] == [
        "send weft.commands:ReserveStock",
        "INSERT reservations",
        "process inventory.commands",
        "ack inventory.commands",
    ]
    kinds = [SpanKind.PRODUCER, SpanKind.CLIENT, SpanKind.CONSUMER, SpanKind.CLIENT]
    assert [s.kind for s in signals.spans] == kinds
    parents = [s.parent.span_id for s in signals.spans if s.parent]
    above = [int(PARENT["traceparent"][36:52], 16), handled.context.span_id, send.context.span_id]
    assert parents == [*above, handled.context.span_id]
    assert [link.context.span_id for link in handled.links] == [send.context.span_id]
    assert handled.attributes is not None
    assert handled.attributes["weft.message.attempt"] == 2
    assert handled.attributes["weft.message.outcome"] == "processed"
    assert (sql.attributes or {})["db.query.summary"] == "INSERT reservations"
    assert (ack.attributes or {})["messaging.operation.type"] == "settle"
    (line,) = signals.lines
    assert line.body == "message processed"
    assert len(signals.points("messaging.process.duration")) == 1
    assert len(signals.points("messaging.client.sent.messages")) == 1
    assert len(signals.points("messaging.client.consumed.messages")) == 1
    assert len(signals.points("messaging.client.operation.duration")) == 2


def test_a_statement_outside_any_trace_makes_metrics_and_no_span(signals: Signals) -> None:
    with record.sql("SELECT 1 FROM outbox_poll", **FAR):
        pass
    assert signals.spans == []
    summaries = [
        p.attributes["db.query.summary"] for p in signals.points("db.client.operation.duration")
    ]
    assert "SELECT outbox_poll" in summaries


def test_a_failed_statement_carries_the_servers_code(signals: Signals) -> None:
    class UniqueViolationError(Exception):
        sqlstate = "23505"

    with serve() as call:
        statement = record.sql("INSERT INTO t VALUES ($1)", **FAR)
        statement.end(UniqueViolationError("duplicate"))
        call.status = 200
    sql = signals.spans[0]
    assert sql.attributes is not None
    assert sql.attributes["db.response.status_code"] == "23505"
    assert sql.attributes["error.type"] == "23505"


async def test_concurrent_calls_keep_their_own_traces(signals: Signals) -> None:
    async def one() -> None:
        with serve() as call:
            await asyncio.sleep(0)
            with record.http_client("GET", "/x", host="h", port=1) as inner:
                await asyncio.sleep(0)
                assert call.trace_id in inner.carrier["traceparent"]
            call.status = 200

    await asyncio.gather(*(one() for _ in range(50)))
    by_trace: dict[int, list[ReadableSpan]] = {}
    for span in signals.spans:
        by_trace.setdefault(span.context.trace_id, []).append(span)
    assert {len(spans) for spans in by_trace.values()} == {2}
    assert len(by_trace) == 50


def test_ending_twice_counts_once(signals: Signals) -> None:
    call = serve()
    call.status = 200
    call.end()
    call.end(RuntimeError())
    assert len(signals.spans) == 1
    assert json.loads(signals.span.to_json())["status"]["status_code"] == "UNSET"
