"""What leaves a process is the same on the fast engine and on the plain SDK, in every scenario."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ITS_OWN = ("process.", "cpython.", "weft.telemetry.")
THEIR_OWN = ("opentelemetry.", "weft.telemetry")
SCENARIOS = Path(__file__).with_name("scenarios.py")
KINDS: dict[str, tuple[type[Message], str, str, str]] = {
    "/v1/traces": (ExportTraceServiceRequest, "resource_spans", "scope_spans", "spans"),
    "/v1/logs": (ExportLogsServiceRequest, "resource_logs", "scope_logs", "log_records"),
    "/v1/metrics": (ExportMetricsServiceRequest, "resource_metrics", "scope_metrics", "metrics"),
}
ENVIRONMENTS = {
    "as it comes": {},
    "limits": {
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "6",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "9",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": "2",
        "OTEL_SPAN_LINK_COUNT_LIMIT": "1",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "2",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "0",
        "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "4",
    },
    "nothing sampled": {"OTEL_TRACES_SAMPLER": "always_off"},
    "some sampled": {
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.5",
    },
    "a sampler of one's own": {"CHOOSY": "1"},
    "other propagators": {"OTEL_PROPAGATORS": "tracecontext"},
}


class Sink:
    """Takes OTLP over HTTP; `found` has (signal, resource, scope, item) of all that came."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, str, Message]] = []

    def take(self, path: str, body: bytes) -> None:
        kind, blocks, scopes, items = KINDS[path]
        request = kind.FromString(body)
        assert request.SerializeToString(deterministic=True), "an empty request"
        for block in getattr(request, blocks):
            resource = str(_plain([block.resource.attributes, block.schema_url]))
            for scope in getattr(block, scopes):
                name = str(_plain([scope.scope, scope.schema_url]))
                for item in getattr(scope, items):
                    self.found.append((path, resource, name, item))


@contextmanager
def listening() -> Iterator[tuple[Sink, str]]:
    sink = Sink()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sink.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield sink, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(engine: str, environment: dict[str, str]) -> tuple[Sink, int]:
    """Run all scenarios on `engine`; return what came, and how many there are."""
    with listening() as (sink, address):
        done = subprocess.run(
            [sys.executable, SCENARIOS, engine],
            env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": address, **environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return sink, int(done.stdout)


TIMES = ("start_time_unix_nano", "end_time_unix_nano", "time_unix_nano", "observed_time_unix_nano")


def _plain(value: Any) -> Any:
    """A message as something that compares; attributes in order of their keys."""
    if isinstance(value, Message):
        given = {field.name: getattr(value, field.name) for field, _ in value.ListFields()}
        oneof = value.WhichOneof("value") if value.DESCRIPTOR.name == "AnyValue" else None
        return {key: _plain(each) for key, each in given.items()} | ({"is": oneof} if oneof else {})
    if isinstance(value, (str, bytes, int, float)):
        return value
    items = [_plain(each) for each in value]
    return (
        sorted(items, key=str)
        if items and isinstance(items[0], dict) and "key" in items[0]
        else items
    )


def spans_of(sink: Sink) -> list[Any]:
    spans = []
    for path, resource, scope, span in sink.found:
        if path == "/v1/traces":
            assert (
                span.end_time_unix_nano >= span.start_time_unix_nano or span.end_time_unix_nano == 1
            )
            plain = _plain(span)
            for event in plain.get("events", []):
                event["time_unix_nano"] = (
                    event["time_unix_nano"] if event["time_unix_nano"] < 10_000 else 0
                )
            spans.append((plain["span_id"], resource, scope, _timeless(plain)))
    return sorted(spans, key=str)


def _timeless(plain: dict[str, Any]) -> dict[str, Any]:
    return {k: (v if v < 10_000 else 0) if k in TIMES else v for k, v in plain.items()}


def records_of(sink: Sink) -> list[Any]:
    """All records but what the engines and their libraries say of what was done wrong."""
    records = []
    for path, resource, scope, entry in sink.found:
        if path == "/v1/logs" and not any(f"'name': '{own}" in scope for own in THEIR_OWN):
            plain = _timeless(_plain(entry))
            for attribute in plain.get("attributes", []):
                if attribute["key"] == "duration":
                    attribute["value"] = "some seconds"
            records.append((resource, scope, plain))
    return sorted(records, key=str)


def points_of(sink: Sink) -> dict[str, Any]:
    """The last export of each instrument that is no matter of the process itself.

    An exemplar counts in whichever export it came.
    """
    points: dict[str, Any] = {}
    witnessed: set[str] = set()
    for path, resource, scope, metric in sink.found:
        if path != "/v1/metrics" or metric.name.startswith(ITS_OWN):
            continue
        kind = metric.WhichOneof("data")
        data = getattr(metric, kind)
        witnessed |= {
            metric.name + str(_plain(point.attributes))
            for point in data.data_points
            if point.exemplars
        }
        points[metric.name] = (
            resource,
            scope,
            metric.unit,
            metric.description,
            kind,
            getattr(data, "aggregation_temporality", None),
            getattr(data, "is_monotonic", None),
            sorted(map(_point, data.data_points)),
        )
    return {**points, "with exemplars": sorted(witnessed)}


def _point(point: Any) -> str:
    attributes = _plain(point.attributes)
    if point.DESCRIPTOR.name == "HistogramDataPoint":
        assert sum(point.bucket_counts) == point.count
        assert point.count * point.min <= point.sum * 1.001 <= point.count * point.max * 1.002
        return str((attributes, point.count, list(point.explicit_bounds)))
    return str((attributes, point.as_int, point.as_double))


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def both(request: pytest.FixtureRequest) -> tuple[Sink, Sink]:
    environment = ENVIRONMENTS[request.param]
    with ThreadPoolExecutor() as pool:
        runs = pool.map(lambda engine: run(engine, environment), ("fast", "sdk"))
    (fast, many), (sdk, as_many) = runs
    assert many == as_many >= 30
    return fast, sdk


def test_the_spans_are_the_same(both: tuple[Sink, Sink]) -> None:
    fast, sdk = map(spans_of, both)
    assert [span[0] for span in fast] == [span[0] for span in sdk]
    for ours, theirs in zip(fast, sdk, strict=True):
        assert ours == theirs


def test_the_log_records_are_the_same(both: tuple[Sink, Sink]) -> None:
    fast, sdk = map(records_of, both)
    assert len(fast) == len(sdk) > 0
    for ours, theirs in zip(fast, sdk, strict=True):
        assert ours == theirs


def test_the_metrics_are_the_same(both: tuple[Sink, Sink]) -> None:
    fast, sdk = map(points_of, both)
    assert fast.keys() == sdk.keys()
    for name, ours in fast.items():
        assert ours == sdk[name]


@pytest.mark.parametrize("engine", ["fast", "sdk"])
def test_a_librarys_own_span_is_under_ours(engine: str) -> None:
    sink, _ = run(engine, {})
    scopes = [(scope, span) for path, _, scope, span in sink.found if path == "/v1/traces"]
    (theirs,) = [span for scope, span in scopes if "elasticsearch-api" in scope]
    (ours,) = [span for _, span in scopes if span.span_id == theirs.parent_span_id]
    assert (theirs.name, ours.name) == ("info", "POST /v1/orders/{order_id}")
    assert theirs.trace_id == ours.trace_id
    assert [event.name for event in theirs.events] == ["exception"]
