"""A batch is kept until the collector has answered: a real process, a real HTTP sink."""

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.ports import free_port

PROGRAM = """
import sys, time
from weft.telemetry import accounting, get_logger, record
from weft.telemetry.console import Console
from weft.telemetry.setup import Telemetry
telemetry = Telemetry("probe", version="1", instance=3, environment="test",
                      console=Console("json", sys.stdout), level="info", engine=sys.argv[3])
for number in range(int(sys.argv[1])):
    with record.http_server("GET", "/x", port=1, headers={}) as call:
        call.status = 200
get_logger("probe").info("done", number=number)
sys.stdin.readline()
began = time.monotonic()
end = "flushed" if telemetry.shutdown(float(sys.argv[2])) else "cut off"
print(accounting.exposition("probe"))
print(end, time.monotonic() - began)
"""

COUNTED = re.compile(
    r'weft_accounting_records_total\{service="probe",signal="(\w+)",outcome="(\w+)"\} (\d+)'
)


class Sink:
    """Takes OTLP over HTTP on a port that is known before it listens."""

    def __init__(self) -> None:
        self.port = free_port()
        self.spans = 0
        self.lines = 0
        self.resource: dict[str, str] = {}
        self.status = 200
        self.refused = "/v1/"
        """Whose path begins so is answered with `status`, all else with 200."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = sink.status if self.path.startswith(sink.refused) else 200
                if status == 200:
                    sink.take(self.path, body)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for block in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.spans += sum(len(scope.spans) for scope in block.scope_spans)
                self.resource = {a.key: a.value.string_value for a in block.resource.attributes}
        elif path == "/v1/logs":
            for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
                self.lines += sum(len(scope.log_records) for scope in logs.scope_logs)

    def wait(self, spans: int, lines: int) -> None:
        deadline = time.monotonic() + 60
        while self.spans < spans or self.lines < lines:
            assert time.monotonic() < deadline, (self.spans, self.lines)
            threading.Event().wait(0.05)


@contextmanager
def program(
    sink: Sink, count: int, patience: float = 60, engine: str = "fast"
) -> Iterator[subprocess.Popen[str]]:
    env = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.port}",
        "OTEL_RESOURCE_ATTRIBUTES": "weft.told=yes,service.version=2",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(count), str(patience), engine],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def lines_of(process: subprocess.Popen[str]) -> list[str]:
    out, _ = process.communicate("\n", timeout=90)
    return out.splitlines()


def said(lines: list[str], message: str) -> int:
    return sum(json.loads(line)["message"] == message for line in lines if line.startswith("{"))


def test_what_is_recorded_before_the_end_is_sent_before_the_end() -> None:
    sink = Sink()
    with sink.listening(), program(sink, 3000) as process:
        lines = lines_of(process)
        assert lines[-1].startswith("flushed")
        assert (sink.spans, sink.lines) == (3000, 3001)
        assert sink.resource["service.name"] == "probe"
        assert sink.resource["service.instance.id"] == "probe-3"
        assert sink.resource["service.version"] == "2"
        assert sink.resource["weft.told"] == "yes"


def test_a_collector_that_comes_late_gets_everything_and_is_mentioned_once() -> None:
    sink = Sink()
    with program(sink, 500) as process:
        assert process.stdout is not None
        before = [process.stdout.readline() for _ in range(502)]  # 500, "done", and the warning
        assert said(before, "collector is away, telemetry is kept") == 1
        with sink.listening():
            sink.wait(500, 502)
            after = lines_of(process)
        assert sink.spans == 500
        assert said(after, "collector is away, telemetry is kept") == 0
        assert said(after, "collector is back") == 1


@pytest.mark.parametrize("status", [503, 400])
def test_a_collector_that_refuses_for_a_while_gets_everything_afterwards(status: int) -> None:
    sink = Sink()
    sink.status = status
    with sink.listening(), program(sink, 100) as process:
        assert process.stdout is not None
        for _ in range(101):
            process.stdout.readline()
        sink.status = 200
        sink.wait(100, 101)


def test_log_records_do_not_wait_for_spans_that_the_collector_has_no_room_for() -> None:
    sink = Sink()
    sink.status, sink.refused = 503, "/v1/traces"
    with sink.listening(), program(sink, 100) as process:
        sink.wait(0, 101)
        assert sink.spans == 0
        sink.status = 200
        assert lines_of(process)[-1].startswith("flushed")
    assert sink.spans == 100


@pytest.mark.parametrize("engine", ["fast", "sdk"])
def test_both_engines_count_what_becomes_of_spans_and_log_records(engine: str) -> None:
    sink = Sink()
    with sink.listening(), program(sink, 100, engine=engine) as process:
        lines = lines_of(process)
    assert (sink.spans, sink.lines) == (100, 101)
    counted = {
        (signal, outcome): int(number)
        for line in lines
        for signal, outcome, number in COUNTED.findall(line)
    }
    expected = {"started": (100, 101), "sent": (100, 101), "dropped": (0, 0), "adopted": (0, 0)}
    assert counted == {
        key: number
        for outcome, numbers in expected.items()
        for key, number in zip((("traces", outcome), ("logs", outcome)), numbers, strict=True)
    }


def test_without_a_collector_a_process_ends_within_its_deadline() -> None:
    with program(Sink(), 100, patience=1) as process:
        last = lines_of(process)[-1]
        word, seconds = last.rsplit(" ", 1)
        assert word == "cut off"
        assert float(seconds) < 10
        assert process.wait(timeout=60) == 0
