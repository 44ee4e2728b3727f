"""Requests as the services send them: traces of orders, 25 spans each."""

import random
from collections.abc import Iterator
from time import time_ns
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SPANS = 25
"""Of one trace."""

_STATEMENT = "INSERT INTO weft.inbox (consumer, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_SERVER = {
    "http.request.method": "POST",
    "http.route": "/v1/orders",
    "http.response.status_code": 202,
    "url.path": "/v1/orders",
    "url.scheme": "http",
    "server.address": "127.0.0.1",
    "server.port": 8101,
    "user.id": "alice",
    "weft.request.id": "019a0d4b-5f10-7c4e-8a3e-0a8f5a3c9b12",
}
_STATEMENTS = {
    "db.system.name": "postgresql",
    "db.namespace": "orders",
    "db.operation.name": "INSERT",
    "db.query.summary": "INSERT weft.inbox",
    "db.query.text": _STATEMENT,
    "server.address": "127.0.0.1",
    "server.port": 5432,
}


def requests(number: int, traces: int) -> Iterator[bytes]:
    """Give so many requests, each with so many whole traces."""
    for _ in range(number):
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        for key, value in (("service.name", "orders"), ("service.instance.id", "orders-0")):
            resource.resource.attributes.add(key=key).value.string_value = value
        scope = resource.scope_spans.add()
        scope.scope.name = "weft"
        for _ in range(traces):
            _trace(scope.spans)
        yield request.SerializeToString()


def _trace(spans: Any) -> None:
    trace_id, parent, now = random.randbytes(16), b"", time_ns()
    for number in range(SPANS):
        server = number % 5 == 0
        span = spans.add(
            trace_id=trace_id,
            span_id=random.randbytes(8),
            parent_span_id=parent,
            name="POST /v1/orders" if server else "INSERT weft.inbox",
            kind=Span.SPAN_KIND_SERVER if server else Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=now,
            end_time_unix_nano=now + random.randrange(100_000, 20_000_000),
        )
        for key, value in (_SERVER if server else _STATEMENTS).items():
            attribute = span.attributes.add(key=key).value
            if isinstance(value, int):
                attribute.int_value = value
            else:
                attribute.string_value = value
        parent = parent if parent and not server else span.span_id
