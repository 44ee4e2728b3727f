"""What a program brings along is never silently ignored: it selects the SDK's engine."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from weft.telemetry import record
from weft.telemetry.console import Console
from weft.telemetry.options import TelemetryOptions
from weft.telemetry.setup import Telemetry

class Seen(SpanProcessor):
    names = []
    def on_end(self, span):
        self.names.append(span.name)

exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
options = {
    "nothing": {},
    "a processor": {"span_processors": [Seen()]},
    "an exporter": {"span_exporter": exporter},
    "a view": {"views": [View(instrument_name="http.server.request.duration", name="mine")],
               "metric_readers": [reader]},
    "a processor that is added": {},
}[sys.argv[1]]
telemetry = Telemetry("probe", version="1", instance=0, environment="test",
                      console=Console("json", sys.stderr), level="info",
                      options=TelemetryOptions(**options))
if sys.argv[1] == "a processor that is added":
    trace.get_tracer_provider().add_span_processor(Seen())
with record.http_server("GET", "/x", port=1, headers={}) as call:
    call.status = 200
metrics = reader.get_metrics_data() if "metric_readers" in options else None
telemetry.shutdown(5)
print(json.dumps({
    "engine": type(record._engine).__name__,
    "seen": Seen.names + [span.name for span in exporter.get_finished_spans()],
    "metrics": [m.name for r in (metrics.resource_metrics if metrics else [])
                for s in r.scope_metrics for m in s.metrics
                if not m.name.startswith(("process.", "cpython.", "weft."))],
}))
"""


@pytest.mark.parametrize(
    ("brought", "reason", "seen", "metrics"),
    [
        ("nothing", None, [], []),
        ("a processor", "a span processor", ["GET"], []),
        ("an exporter", "a span exporter", ["GET"], []),
        ("a view", "a view, a metric reader", [], ["mine"]),
        ("a processor that is added", "a span processor", ["GET"], []),
    ],
)
def test_what_only_the_sdk_can_serve_selects_its_engine_with_one_line(
    brought: str, reason: str | None, seen: list[str], metrics: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, brought],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    reasons = [line.get("weft.telemetry.reason") for line in lines if "engine" in line["message"]]
    assert reasons == ([] if reason is None else [reason])
    assert (found["engine"] == "FastEngine") == (reason is None)
    assert found["seen"] == seen
    assert found["metrics"] == metrics
