"""The shipper: what it makes of each part's lines, and that it loses none."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from stack.log_shipper.app import Shipper
from stack.log_shipper.collector import AwayError, Collector
from stack.log_shipper.records import MOST_CHARACTERS, parser
from stack.log_shipper.tail import CHUNK_BYTES, Tail

RABBITMQ = (
    '{"time":"2026-11-23 15:33:48.333795+00:00","level":"warning","msg":"disk low","pid":"<0.1.0>"}'
)
COLLECTOR = '{"level":"error","ts":"2026-11-23T15:29:05.890Z","caller":"x.go:1","msg":"no","n":1}'
PROMETHEUS = '{"time":"2026-11-23T15:29:05.93231762Z","level":"INFO","source":"m.go:1","msg":"bye"}'
POSTGRES = "2026-11-23 15:29:05.939 UTC [8120] orders@orders ERROR:  no such table"
BADGER = "badger 2026/11/23 15:44:36 INFO: Set nextTxnTs to 1103"
VALKEY = "8195:M 23 Nov 2026 15:29:05.986 # User requested shutdown..."


@pytest.mark.parametrize(
    ("part", "line", "severity", "text"),
    [
        ("rabbitmq", RABBITMQ, "WARNING", "disk low"),
        ("rabbitmq", "  Starting broker..." + RABBITMQ, "WARNING", "disk low"),
        ("rabbitmq", "  ##  ##", "INFO", "  ##  ##"),
        ("otel-collector", COLLECTOR, "ERROR", "no"),
        ("prometheus", PROMETHEUS, "INFO", "bye"),
        ("postgres", POSTGRES, "ERROR", "no such table"),
        ("postgres", POSTGRES.replace("ERROR", "DEBUG2"), "DEBUG", "no such table"),
        ("jaeger", BADGER, "INFO", "Set nextTxnTs to 1103"),
        ("valkey", VALKEY, "WARNING", "User requested shutdown..."),
        ("loki", '"only a string"', "INFO", '"only a string"'),
        ("loki", '{"level": ["odd"], "msg": 7, "ts": "never"}', "INFO", "7"),
    ],
)
def test_each_parts_line_gives_severity_and_text(
    part: str, line: str, severity: str, text: str
) -> None:
    record = parser(part)(line)
    assert record is not None
    assert (record.severity, record.text) == (severity, text)


@pytest.mark.parametrize(
    ("part", "line", "at"),
    [
        ("rabbitmq", RABBITMQ, 1795448028.333795),
        ("otel-collector", COLLECTOR, 1795447745.89),
        ("postgres", POSTGRES, 1795447745.939),
    ],
)
def test_a_record_has_the_time_that_its_line_gives(part: str, line: str, at: float) -> None:
    record = parser(part)(line)
    assert record is not None
    assert record.at == pytest.approx(at, abs=0.001)


def test_what_a_line_says_besides_becomes_facts() -> None:
    record = parser("postgres")(POSTGRES)
    assert record is not None
    assert dict(record.facts) == {"pid": "8120", "who": "orders@orders"}


def test_a_line_of_any_length_is_bounded() -> None:
    record = parser("rabbitmq")("x" * 100_000)
    assert record is not None
    assert len(record.text) == MOST_CHARACTERS


def test_a_tail_gives_only_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    tail = Tail(path, None)
    assert tail.read() == []
    path.write_bytes(b"one\ntw")
    assert tail.read() == ["one"]
    with path.open("ab") as file:
        file.write(b"o\n")
    assert tail.read() == ["two"]


def test_a_tail_goes_on_after_a_restart_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\ntwo\nthr")
    first = Tail(path, None)
    assert first.read() == ["one", "two"]
    with path.open("ab") as file:
        file.write(b"ee\n")
    assert Tail(path, first.position()).read() == ["three"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_rotation_loses_no_line(tmp_path: Path, restart: bool) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n")
    tail = Tail(path, None)
    assert tail.read() == ["one"]
    with path.open("ab") as file:
        file.write(b"two\n")
    for number, line in (("2", b"three\n"), ("1", b"four\n")):
        path.rename(tmp_path / f"a.log.{number}")
        path.write_bytes(line)
    if restart:
        tail = Tail(path, tail.position())
    assert _drain(tail) == ["two", "three", "four"]


def test_a_line_without_end_does_not_grow_without_bound(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * (3 * CHUNK_BYTES))
    tail = Tail(path, None)
    assert sum(len(line) for _ in range(4) for line in tail.read()) >= 2 * CHUNK_BYTES


def _drain(tail: Tail) -> list[str]:
    lines: list[str] = []
    for _ in range(20):
        lines += tail.read()
    return lines


class FakeCollector:
    """Answers what it is told to; what it took is in `bodies`."""

    def __init__(self) -> None:
        self.status = 200
        self.bodies: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if outer.status == 200:
                    outer.bodies.append(body)
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def texts(self) -> list[str]:
        return [
            record["body"]["stringValue"]
            for body in self.bodies
            for record in body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        ]


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    fake = FakeCollector()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def _shipper(tmp_path: Path, logs: Path, url: str) -> Shipper:
    return Shipper(logs, tmp_path / "offsets.json", Collector(url, "test"))


def test_what_could_not_be_sent_is_sent_when_the_collector_is_back(
    tmp_path: Path, logs: Path, collector: FakeCollector
) -> None:
    (logs / "rabbitmq.log").write_text(RABBITMQ + "\n")
    shipper = _shipper(tmp_path, logs, collector.url)
    collector.status = 503
    for _ in range(2):
        with pytest.raises(AwayError):
            shipper.round()
    collector.status = 200
    assert shipper.round()
    assert not shipper.round()
    assert collector.texts() == ["disk low"]


def test_a_restarted_shipper_sends_nothing_twice(
    tmp_path: Path, logs: Path, collector: FakeCollector
) -> None:
    (logs / "rabbitmq.log").write_text(RABBITMQ + "\n")
    _shipper(tmp_path, logs, collector.url).round()
    with (logs / "rabbitmq.log").open("a") as file:
        file.write("next\n")
    _shipper(tmp_path, logs, collector.url).round()
    assert collector.texts() == ["disk low", "next"]


def test_records_that_the_collector_refuses_for_good_do_not_hold_up_the_rest(
    tmp_path: Path, logs: Path, collector: FakeCollector
) -> None:
    (logs / "rabbitmq.log").write_text("bad\n")
    shipper = _shipper(tmp_path, logs, collector.url)
    collector.status = 400
    shipper.round()
    collector.status = 200
    with (logs / "rabbitmq.log").open("a") as file:
        file.write("good\n")
    shipper.round()
    assert collector.texts() == ["good"]


def test_lines_that_belong_together_come_as_one_record(
    tmp_path: Path, logs: Path, collector: FakeCollector
) -> None:
    (logs / "postgres.log").write_text(f"{POSTGRES}\n\tLINE 1: SELECT\n")
    _shipper(tmp_path, logs, collector.url).round()
    assert collector.texts() == ["no such table\n\tLINE 1: SELECT"]


def test_each_part_is_a_service_of_its_own(
    tmp_path: Path, logs: Path, collector: FakeCollector
) -> None:
    (logs / "loki.log").write_text("up\n")
    _shipper(tmp_path, logs, collector.url).round()
    [body] = collector.bodies
    attributes = {
        one["key"]: one["value"]["stringValue"]
        for one in body["resourceLogs"][0]["resource"]["attributes"]
    }
    assert attributes["service.name"] == "loki"
    assert attributes["deployment.environment.name"] == "test"


def test_nothing_is_forgotten_when_the_offsets_are_not_readable(
    tmp_path: Path, logs: Path, collector: FakeCollector
) -> None:
    (tmp_path / "offsets.json").write_text("{broken")
    (logs / "loki.log").write_text("up\n")
    _shipper(tmp_path, logs, collector.url).round()
    assert collector.texts() == ["up"]
