"""The collector's doors, with its real configuration: what other programs send, and in older words.

What it would send on is written to files instead.
"""

import asyncio
import json
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
import pytest

from stack import parts, services
from stack.backing import collector
from stack.credentials import Credentials
from stack.home import Home
from stack.ports import Ports
from stack.probe import NotReadyError
from stack.system import System
from tests.running import free_port_base

SECONDS = 60.0
TOO_MUCH = 5 * 2**20
INTO_FILES = """
exporters:
  file/traces: {{path: {folder}/traces, flush_interval: 50ms}}
  file/metrics: {{path: {folder}/metrics, flush_interval: 50ms}}
  file/logs: {{path: {folder}/logs, flush_interval: 50ms}}
service:
  pipelines:
    traces: {{exporters: [file/traces]}}
    metrics: {{receivers: [otlp], exporters: [file/metrics]}}
    logs: {{exporters: [file/logs]}}
    logs/fluent: {{exporters: [file/logs]}}
"""

Told = dict[str, Any]


class Collector:
    """A running collector, and what it sent on."""

    def __init__(self, ports: Ports, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.ports = ports
        self.process = process
        self._folder = folder

    async def post(self, part: str, path: str, body: Any) -> int:
        """Return the status that the door answers with."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession() as http,
            http.post(self.ports.url(part) + path, data=data, headers=headers) as answer,
        ):
            return answer.status

    async def sent(self, signal: str, about: str) -> list[Told]:
        """Return the resources with a text in them, once there is one."""
        file = self._folder / signal
        async with asyncio.timeout(SECONDS):
            while True:
                text = file.read_text(encoding="utf-8") if file.exists() else ""
                lines = text.split("\n")[:-1]  # the last one may be half written
                groups = [
                    group
                    for line in lines
                    for [found] in [json.loads(line).values()]
                    for group in found
                    if about in json.dumps(group)
                ]
                if groups:
                    return groups
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("collector")
    log = folder / "build.log"
    found = parts.install("otel-collector", log=log, progress=lambda _: None)
    home, ports = Home(folder / "home"), Ports(free_port_base())
    home.make()
    system = System(home, ports, Credentials(home.secrets, ports))
    services.remember(system, {"WEFT_DOORS": "all"})
    program = collector.program(system, found)
    into = folder / "files.yaml"
    into.write_text(INTO_FILES.format(folder=folder), encoding="utf-8")
    command = [*map(str, program.command), f"--config={into}"]
    with subprocess.Popen(command, env=dict(program.environment)) as process:
        try:
            _wait(program.probe)
            yield Collector(ports, folder, process)
        finally:
            process.terminate()


def _wait(probe: Callable[[], None]) -> None:
    end = time.monotonic() + SECONDS
    while True:
        try:
            return probe()
        except NotReadyError:
            assert time.monotonic() < end
            time.sleep(0.1)


def plain(attributes: list[Told]) -> Told:
    """Attributes as OTLP's JSON has them, as names and values; an int is a text there."""
    values = {each["key"]: next(iter(each["value"].items())) for each in attributes}
    return {
        name: int(value) if kind == "intValue" else value for name, (kind, value) in values.items()
    }


def attribute(name: str, value: str | int) -> Told:
    kind = "stringValue" if isinstance(value, str) else "intValue"
    return {"key": name, "value": {kind: str(value)}}


def resource(name: str) -> Told:
    return {
        "attributes": [
            attribute("service.name", name),
            attribute("deployment.environment", "attic"),
        ]
    }


def a_name() -> str:
    return f"foreign-{secrets.token_hex(4)}"


async def test_zipkins_spans_get_todays_names_and_are_hidden_as_all_others(door: Collector) -> None:
    name = a_name()
    tags = {
        "http.method": "GET",
        "http.status_code": "404",
        "http.target": "/carts/7?card=4111111111111111&page=2",
        "net.peer.name": "browser",
        "net.transport": "ip_tcp",
        "db.system": "mssql",
    }
    span = {
        "traceId": secrets.token_hex(16),
        "id": secrets.token_hex(8),
        "name": "get /carts/{id}",
        "kind": "SERVER",
        "timestamp": time.time_ns() // 1000,
        "duration": 1500,
        "localEndpoint": {"serviceName": name},
        "tags": tags,
        "annotations": [
            {"timestamp": time.time_ns() // 1000, "value": "paid with 4111111111111111"}
        ],
    }
    assert await door.post("otel-collector-zipkin", "/api/v2/spans", [span]) == 202
    [group] = await door.sent("traces", name)
    [stored] = group["scopeSpans"][0]["spans"]
    assert stored["traceId"] == span["traceId"]
    assert [event["name"] for event in stored["events"]] == ["paid with ****"]
    assert plain(stored["attributes"]) == {
        "http.request.method": "GET",
        "http.response.status_code": 404,
        "url.path": "/carts/7",
        "url.query": "card=****&page=2",
        "client.address": "browser",
        "network.transport": "tcp",
        "db.system.name": "microsoft.sql_server",
    }


async def test_zipkins_door_refuses_what_is_too_large_or_no_spans(door: Collector) -> None:
    door_of = "otel-collector-zipkin", "/api/v2/spans"
    assert await door.post(*door_of, b"[" + b" " * TOO_MUCH + b"]") in (400, 413)
    assert await door.post(*door_of, b"no spans") == 400


async def test_older_metrics_become_todays_in_seconds(door: Collector) -> None:
    name = a_name()
    point = {
        "attributes": [attribute("http.method", "POST"), attribute("net.host.port", 80)],
        "timeUnixNano": str(time.time_ns()),
        "count": "3",
        "sum": 260.0,
        "explicitBounds": [10, 100],
        "bucketCounts": ["1", "1", "1"],
    }
    metric = {
        "name": "http.server.duration",
        "unit": "ms",
        "histogram": {"aggregationTemporality": 2, "dataPoints": [point]},
    }
    scope = {"scope": {"name": "old"}, "metrics": [metric]}
    body = {"resourceMetrics": [{"resource": resource(name), "scopeMetrics": [scope]}]}
    assert await door.post("otel-collector-http", "/v1/metrics", body) == 200
    [group] = await door.sent("metrics", name)
    assert plain(group["resource"]["attributes"])["deployment.environment.name"] == "attic"
    [stored] = group["scopeMetrics"][0]["metrics"]
    [told] = stored["histogram"]["dataPoints"]
    assert (stored["name"], stored["unit"]) == ("http.server.request.duration", "s")
    assert (told["sum"], told["explicitBounds"]) == (0.26, [0.01, 0.1])
    assert plain(told["attributes"]) == {"http.request.method": "POST", "server.port": 80}


@pytest.mark.parametrize(
    ("scope", "expected"), [("old", "db.query.text"), ("weft", "db.statement")]
)
async def test_records_get_todays_names_unless_they_are_our_own(
    door: Collector, scope: str, expected: str
) -> None:
    name = a_name()
    record = {"body": {"stringValue": name}, "attributes": [attribute("db.statement", "SELECT")]}
    groups = [{"scope": {"name": scope}, "logRecords": [record]}]
    body = {"resourceLogs": [{"scopeLogs": groups}]}
    assert await door.post("otel-collector-http", "/v1/logs", body) == 200
    [group] = await door.sent("logs", name)
    assert plain(group["resource"]["attributes"]) == {"service.name": "unknown_service"}
    [stored] = group["scopeLogs"][0]["logRecords"]
    assert plain(stored["attributes"]) == {expected: "SELECT"}


HIDDEN_BY_NAME = (
    *("authorization", "Authorization", "http.request.header.AUTHORIZATION", "proxy-authorization"),
    *("cookie", "Set-Cookie", "COOKIE", "api_key", "x-api-key", "apiKey", "Api.Key", "APIKey"),
    *("API_KEY", "password", "Password", "passWord", "DB_PASSWORD", "passwd", "PASSWD"),
    *("API-key", "API_key", "X-APIkey", "passWORD", "PASSword"),
    *("secret", "clientSecret", "SECRET"),
)
HIDDEN_BY_VALUE = {
    "4929123412341234": "****",
    "card%3D4929-1234-1234-1234": "card****",
    "3782 822463 10005": "****",
    "a=tok_abc&b": "a=****&b",
    "a%3Dtok_abc": "a%3D****",
    "me@example.com": "****",
    "Bearer abcdefgh": "****",
    "%20eyJhbGciOi.eyJzdWIi.c2ln": "%20****",
}
KEPT = (
    "019a0d4b-5f10-7c4e-8a3e-0a8f5a3c9b12",
    "INSERT weft.inbox",
    "/v1/orders",
    "key",
    "eyJ",
    "tok",
)


async def test_what_must_not_be_stored_is_hidden_however_it_is_written(door: Collector) -> None:
    name = a_name()
    facts = [
        *(attribute(key, "kept elsewhere") for key in HIDDEN_BY_NAME),
        *(attribute(f"value.{number}", value) for number, value in enumerate(HIDDEN_BY_VALUE)),
        *(attribute(f"kept.{number}", value) for number, value in enumerate(KEPT)),
    ]
    record = {"body": {"stringValue": name}, "attributes": facts}
    body = {"resourceLogs": [{"scopeLogs": [{"scope": {}, "logRecords": [record]}]}]}
    assert await door.post("otel-collector-http", "/v1/logs", body) == 200
    [group] = await door.sent("logs", name)
    assert plain(group["scopeLogs"][0]["logRecords"][0]["attributes"]) == {
        **dict.fromkeys(HIDDEN_BY_NAME, "****"),
        **{f"value.{number}": value for number, value in enumerate(HIDDEN_BY_VALUE.values())},
        **{f"kept.{number}": value for number, value in enumerate(KEPT)},
    }


async def test_fluents_chunk_is_acknowledged_and_its_tag_is_the_service(door: Collector) -> None:
    tags = [a_name(), a_name()]
    reader, writer = await _connected(door)
    for tag in tags:  # one after the other, without waiting: they may be handled together
        event = {"message": "written", "user": "me@example.com", "level": 3}
        entries = [[int(time.time()), event]]
        writer.write(msgspec.msgpack.encode([tag, entries, {"chunk": f"chunk-{tag}"}]))
    for tag in tags:
        expected = msgspec.msgpack.encode({"ack": f"chunk-{tag}"})
        assert await asyncio.wait_for(reader.readexactly(len(expected)), SECONDS) == expected
        [group] = await door.sent("logs", tag)
        assert plain(group["resource"]["attributes"]) == {"service.name": tag}
        [stored] = group["scopeLogs"][0]["logRecords"]
        assert stored["body"] == {"stringValue": "written"}
        assert plain(stored["attributes"]) == {"fluent.tag": tag, "user": "****", "level": 3}
    writer.close()


async def test_fluents_door_closes_on_what_is_no_event(door: Collector) -> None:
    reader, writer = await _connected(door)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), SECONDS) == b""
    writer.close()
    assert door.process.poll() is None


async def test_no_door_is_open_to_other_machines(door: Collector) -> None:
    known = {port for part, port in door.ports.all().items() if part.startswith("otel-collector")}
    listening = _listening(door.process.pid)
    assert {port for _, port in listening} == known
    assert {address for address, _ in listening} == {"127.0.0.1"}


def _listening(pid: int) -> set[tuple[str, int]]:
    found = psutil.Process(pid).net_connections(kind="inet")
    return {
        (one.laddr.ip, one.laddr.port)
        for one in found
        if one.status == psutil.CONN_LISTEN or one.type == socket.SOCK_DGRAM
    }


async def _connected(door: Collector) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", door.ports.of("otel-collector-fluent"))
