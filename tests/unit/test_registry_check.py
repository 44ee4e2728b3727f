"""The checker finds each kind of mistake, and nothing in what is right."""

import struct
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from registry.__main__ import main
from registry.check import checked

RESOURCE = {
    "service.namespace": "weft",
    "service.name": "orders",
    "service.version": "1",
    "service.instance.id": "orders-0",
    "deployment.environment.name": "local",
}
SERVED = {"http.request.method": "GET", "url.scheme": "http", "url.path": "/", "server.port": 1}
RIGHT = {"queue": "orders.events", "outcome": "dead"}


class Received:
    """One request of each kind, in files as the collector writes them."""

    def __init__(self, **resource: str) -> None:
        about = Resource(attributes=pairs({**RESOURCE, **resource}))
        self.traces = ExportTraceServiceRequest()
        self.metrics = ExportMetricsServiceRequest()
        self.logs = ExportLogsServiceRequest()
        self.spans = self.traces.resource_spans.add(resource=about).scope_spans.add()
        self.points = self.metrics.resource_metrics.add(resource=about).scope_metrics.add()
        self.records = self.logs.resource_logs.add(resource=about).scope_logs.add()

    def span(self, name: str = "GET /", **attributes: Any) -> None:
        told = {key.replace("__", "."): value for key, value in attributes.items()}
        self.spans.spans.add(name=name, kind=2, attributes=pairs(told))

    def counter(self, name: str, unit: str, *points: dict[str, Any]) -> None:
        metric = self.points.metrics.add(name=name, unit=unit)
        metric.sum.is_monotonic = True
        metric.sum.aggregation_temporality = (
            AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        )
        for attributes in points:
            metric.sum.data_points.add(as_int=1, attributes=pairs(attributes))

    def gauge(self, name: str, unit: str) -> None:
        self.points.metrics.add(name=name, unit=unit).gauge.data_points.add(as_int=1)

    def record(self, event: str = "", **attributes: Any) -> None:
        told = {key.replace("__", "."): value for key, value in attributes.items()}
        self.records.log_records.add(event_name=event, attributes=pairs(told))

    def found(self, folder: Path) -> list[str]:
        for name in ("traces", "metrics", "logs"):
            body = getattr(self, name).SerializeToString()
            (folder / name).write_bytes(struct.pack(">I", len(body)) + body + b"\0\0\0\x09half")
        return [str(finding) for finding in checked(folder)[0]]


def pairs(values: dict[str, Any]) -> list[KeyValue]:
    kinds = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}
    return [
        KeyValue(key=key, value=AnyValue(**{kinds[type(value)]: value}))
        for key, value in values.items()
    ]


def dotted(**values: Any) -> dict[str, Any]:
    return {key.replace(".", "__"): value for key, value in values.items()}


SERVED_HERE = dotted(**SERVED)


def test_what_is_right_is_found_right_and_counted(tmp_path: Path) -> None:
    received = Received()
    received.span(**SERVED_HERE)
    received.counter("weft.consumer.messages", "{message}", RIGHT)
    received.gauge("weft.event_loop.lag", "s")
    received.record("weft.change.stop")
    received.record(hello__name="a service of one's own has names of its own")
    assert received.found(tmp_path) == []
    seen = checked(tmp_path)[1]
    assert (seen.spans, seen.points, seen.records, seen.services) == (1, 2, 2, {"orders"})
    assert main(["check", str(tmp_path)]) == 0


def wrong_span(received: Received) -> None:
    received.span(**{**SERVED_HERE, "weft__nobody__knows": 1})


def span_without(received: Received) -> None:
    received.span(**{key: SERVED_HERE[key] for key in SERVED_HERE if key != "url__path"})


def deprecated(received: Received) -> None:
    received.span(**{**SERVED_HERE, "http__method": "GET"})


def invented(received: Received) -> None:
    received.span(**{**SERVED_HERE, "http__colour": "red"})


def wrong_type(received: Received) -> None:
    received.span(**{**SERVED_HERE, "server__port": "8080"})


def identity_in_a_name(received: Received) -> None:
    received.span("GET /v1/orders/019a0d4b-5f10-7c4e-8a3e-0a8f5a3c9b11", **SERVED_HERE)


def many_names(received: Received) -> None:
    for number in range(101):
        received.span(f"GET /{number}", **SERVED_HERE)


def unknown_metric(received: Received) -> None:
    received.counter("weft.nothing", "{thing}", {})


def wrong_unit(received: Received) -> None:
    received.counter("weft.consumer.messages", "ms", RIGHT)


def wrong_unit_of_a_convention(received: Received) -> None:
    received.counter("process.cpu.time", "ms", {})


def wrong_instrument(received: Received) -> None:
    received.gauge("weft.rate_limit.refusals", "{request}")


def unlisted_label(received: Received) -> None:
    received.counter("weft.consumer.messages", "{message}", {**RIGHT, "reason": "x"})


def missing_label(received: Received) -> None:
    received.counter("weft.consumer.messages", "{message}", {"queue": "orders.events"})


def many_values(received: Received) -> None:
    points = [{**RIGHT, "queue": f"queue-{number}"} for number in range(101)]
    received.counter("weft.consumer.messages", "{message}", *points)


def person_in_a_metric(received: Received) -> None:
    received.counter("weft.consumer.messages", "{message}", {**RIGHT, "queue": "jo@example.org"})


def unknown_event(received: Received) -> None:
    received.record("weft.change.weather")


def event_without(received: Received) -> None:
    received.record("weft.change.start")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (wrong_span, "unknown attribute: weft.nobody.knows"),
        (span_without, "missing attribute: url.path"),
        (deprecated, "deprecated attribute: http.method"),
        (invented, "attribute that the conventions do not have: http.colour"),
        (wrong_type, "wrong type: server.port"),
        (identity_in_a_name, "high-cardinality span name: GET /v1/orders/"),
        (many_names, "many span names: 101"),
        (unknown_metric, "unknown metric: weft.nothing"),
        (wrong_unit, "wrong unit: weft.consumer.messages"),
        (wrong_unit_of_a_convention, "wrong unit: process.cpu.time"),
        (wrong_instrument, "wrong instrument: weft.rate_limit.refusals"),
        (unlisted_label, "attribute that is not listed for the metric: reason"),
        (missing_label, "missing attribute: outcome"),
        (many_values, "high-cardinality attribute: weft.consumer.messages"),
        (person_in_a_metric, "high-cardinality attribute: weft.consumer.messages"),
        (unknown_event, "unknown event: weft.change.weather"),
        (event_without, "missing attribute: weft.start.duration"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_mistake_is_found_and_is_the_only_finding(
    tmp_path: Path, spoil: Any, told: str
) -> None:
    received = Received()
    spoil(received)
    [finding] = received.found(tmp_path)
    assert finding.startswith(f"orders: {told}")
    assert main(["check", str(tmp_path)]) == 1


def test_what_others_say_in_their_own_words_is_left_alone(tmp_path: Path) -> None:
    received = Received(**{"service.namespace": "another"})
    received.span(**{**SERVED_HERE, "weft__nobody__knows": 1})
    assert received.found(tmp_path) == []
