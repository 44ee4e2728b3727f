"""Log records and samples as the services send them; spans are those of benchmarks.collector."""

import random
from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from weft.ids import uuid7

_RESOURCE = {
    "service.name": "orders",
    "service.namespace": "weft",
    "service.version": "1.0.0",
    "service.instance.id": "orders-0",
    "deployment.environment.name": "local",
}
_MILLISECOND = 1_000_000


def logs(number: int, at_once: int, now: int) -> Iterator[bytes]:
    """Give so many canonical lines of messages and requests, in requests of `at_once`."""
    for begun in range(0, number, at_once):
        request = ExportLogsServiceRequest()
        group = request.resource_logs.add()
        _attributes(group.resource.attributes, _RESOURCE)
        scope = group.scope_logs.add()
        scope.scope.name = "weft"
        for position in range(begun, min(begun + at_once, number)):
            _line(scope.log_records.add(), now + position * _MILLISECOND)
        yield request.SerializeToString()


def samples(series: int, times: int, every: int, now: int) -> Iterator[bytes]:
    """Give so many series of counters that grow unevenly, at so many times until `now`."""
    values = [0] * series
    start = now - times * every
    for moment in range(1, times + 1):
        request = ExportMetricsServiceRequest()
        group = request.resource_metrics.add()
        _attributes(group.resource.attributes, _RESOURCE)
        metric = group.scope_metrics.add().metrics.add(name="bench.storage.events", unit="{event}")
        metric.sum.is_monotonic = True
        metric.sum.aggregation_temporality = (
            AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        )
        for number in range(series):
            values[number] += random.choice((0, 0, 0, random.randrange(50)))
            point = metric.sum.data_points.add(
                start_time_unix_nano=start,
                time_unix_nano=start + moment * every,
                as_int=values[number],
            )
            _attributes(point.attributes, {"http.route": f"/v1/routes/{number}", "outcome": "ok"})
        yield request.SerializeToString()


def _line(record: Any, at: int) -> None:
    message = random.choice((True, False))
    record.time_unix_nano = record.observed_time_unix_nano = at
    record.severity_number, record.severity_text = 9, "INFO"
    record.body.string_value = "message processed" if message else "request served"
    record.trace_id, record.span_id = random.randbytes(16), random.randbytes(8)
    took = round(random.uniform(0.5, 40), 3)
    if message:
        facts = {
            "messaging.destination.name": "orders.events",
            "messaging.message.id": uuid7(),
            "weft.message.type": random.choice(("stock.reserved", "payment.captured")),
            "outcome": "processed",
            "duration": took,
            "weft.order.id": uuid7(),
        }
    else:
        facts = {
            "http.request.method": "POST",
            "http.route": "/v1/orders",
            "http.response.status_code": 202,
            "duration": took,
            "weft.request.id": uuid7(),
            "user.id": f"user-{random.randrange(1000)}",
        }
    _attributes(record.attributes, facts)


def _attributes(into: Any, facts: dict[str, Any]) -> None:
    for key, value in facts.items():
        told = into.add(key=key).value
        if isinstance(value, str):
            told.string_value = value
        elif isinstance(value, int):
            told.int_value = value
        else:
            told.double_value = value
