"""The commands as a shell sees them: against a fake Loki and Jaeger, or against nobody."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from aiohttp import web
from typer.testing import CliRunner

from stack.cli import telemetry
from stack.ports import Ports, taken

ORDER = "01a208f8-5c8d-70cb-8247-aa19c2bb8542"
TRACE = "ad8a53c1ee96203c5d67d80dbd2629c9"
SPAN = {
    "traceID": TRACE,
    "spanID": "92264fbcfc3bf153",
    "operationName": "POST /v1/orders",
    "references": [],
    "startTime": 1795446824077635,
    "duration": 20905,
    "tags": [{"key": "span.kind", "value": "server"}, {"key": "weft.order.id", "value": ORDER}],
    "processID": "p1",
}
FOUND = {
    "data": [{"traceID": TRACE, "spans": [SPAN], "processes": {"p1": {"serviceName": "orders"}}}]
}
LINE = [
    "1795446824087635000",
    "order placed",
    {
        "structuredMetadata": {
            "trace_id": TRACE,
            "span_id": SPAN["spanID"],
            "severity_text": "INFO",
            "weft_order_id": ORDER,
        }
    },
]
LOGS = {"data": {"result": [{"stream": {"service_name": "orders"}, "values": [LINE]}]}}


class Fake:
    """Jaeger and Loki at the ports of one system, in a thread of their own."""

    def __init__(self, base: int) -> None:
        self.ports = Ports(base)
        self.queries: list[str] = []
        self._runners: list[web.AppRunner] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self, *names: str) -> None:
        self._thread.start()
        for name in names:
            asyncio.run_coroutine_threadsafe(self._serve(name), self._loop).result(60)

    def stop(self) -> None:
        if self._thread.is_alive():
            for runner in self._runners:
                asyncio.run_coroutine_threadsafe(runner.cleanup(), self._loop).result(60)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(60)
        self._loop.close()

    async def _serve(self, name: str) -> None:
        app = web.Application()
        app.router.add_get("/api/services", self._services)
        app.router.add_get("/api/traces", self._jaeger)
        app.router.add_get("/api/traces/{id}", self._jaeger)
        app.router.add_get("/loki/api/v1/query_range", self._loki)
        runner = web.AppRunner(app)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", self.ports.of(name)).start()

    async def _services(self, _: web.Request) -> web.Response:
        return web.json_response({"data": ["orders"]})

    async def _jaeger(self, _: web.Request) -> web.Response:
        return web.json_response(FOUND)

    async def _loki(self, request: web.Request) -> web.Response:
        self.queries.append(request.query["query"])
        return web.json_response(LOGS)


@pytest.fixture
def fake(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fake]:
    base = _free_base()
    monkeypatch.setenv("WEFT_PORT_BASE", str(base))
    monkeypatch.setenv("WEFT_HOME", str(tmp_path_factory.mktemp("home")))
    fake = Fake(base)
    yield fake
    fake.stop()


def _free_base() -> int:
    for base in range(200, 3000, 7):
        if not taken((name, Ports(base).of(name)) for name in ("jaeger", "loki")):
            return base
    raise RuntimeError("no free port base")


def weft(*arguments: str) -> Any:
    app = typer.Typer()
    telemetry.register(app)
    return CliRunner().invoke(app, list(arguments))


def test_a_trace_is_drawn_with_its_log_lines(fake: Fake) -> None:
    fake.start("jaeger", "loki")
    done = weft("trace", ORDER)
    assert done.exit_code == 0, done.output
    rows = done.stdout.splitlines()
    assert rows[0] == f"trace {TRACE}"
    assert "orders POST /v1/orders server" in rows[-2]
    assert rows[-1].endswith("· order placed")
    assert fake.queries == [f'{{service_name=~".+"}} | trace_id="{TRACE}"']


def test_a_trace_in_json_is_one_object(fake: Fake) -> None:
    fake.start("jaeger", "loki")
    done = weft("trace", TRACE, "--json")
    assert done.exit_code == 0, done.output
    tree = json.loads(done.stdout)
    assert tree["trace_id"] == TRACE
    assert tree["spans"][0]["logs"][0]["message"] == "order placed"


def test_a_trace_is_shown_without_log_lines_when_loki_is_away(fake: Fake) -> None:
    fake.start("jaeger")
    done = weft("trace", TRACE)
    assert done.exit_code == 1
    assert f"trace {TRACE}" in done.stdout
    assert done.stderr.startswith("without log lines: loki does not answer at ")


@pytest.mark.parametrize("command", [("traces",), ("trace", TRACE), ("search", "x")])
def test_a_backend_that_is_away_is_one_line_and_exit_code_1(
    fake: Fake, command: tuple[str, ...]
) -> None:
    done = weft(*command)
    name = "loki" if command[0] == "search" else "jaeger"
    assert done.exit_code == 1
    assert done.stdout == ""
    expected = f"{name} does not answer at {fake.ports.url(name)}: Connection refused\n"
    assert done.stderr == expected


def test_traces_are_listed_and_in_json_too(fake: Fake) -> None:
    fake.start("jaeger")
    listed = weft("traces", "--since", "1h")
    assert listed.exit_code == 0, listed.output
    assert TRACE in listed.stdout
    [trace] = json.loads(weft("traces", "--json").stdout)
    assert trace["trace_id"] == TRACE
    assert trace["services"] == ["orders"]


def test_a_search_prints_one_line_a_record(fake: Fake) -> None:
    fake.start("loki")
    done = weft("search", "placed", "--service", "orders")
    assert done.exit_code == 0, done.output
    [row] = done.stdout.splitlines()
    assert row.endswith(f"order placed weft_order_id={ORDER} trace={TRACE}")
    assert '|~ "(?i)placed"' in fake.queries[0]


def test_a_search_by_order_asks_for_its_trace_too(fake: Fake) -> None:
    fake.start("loki")
    done = weft("search", "--order", ORDER.upper(), "--json")
    assert json.loads(done.stdout)["facts"] == {"weft_order_id": ORDER}
    assert fake.queries[-1].endswith(f'weft_order_id="{ORDER}" or trace_id="{TRACE}"')


@pytest.mark.parametrize(
    "command",
    [
        ("traces", "--slow", "soon"),
        ("traces", "--status", "bad"),
        ("search", "--since", "yesterday"),
        ("search", "--level", "loud"),
        ("order", "--quantity", "0"),
        ("trace", "no-id"),
    ],
)
@pytest.mark.usefixtures("fake")
def test_what_cannot_be_meant_is_exit_code_2(command: tuple[str, ...]) -> None:
    done = weft(*command)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr


@pytest.mark.usefixtures("fake")
def test_a_wrong_setting_is_one_line_and_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_PORT_BASE", "many")
    done = weft("traces")
    assert done.exit_code == 2
    assert done.stderr.startswith("WEFT_PORT_BASE is 'many'")


@pytest.mark.usefixtures("fake")
def test_an_order_before_the_first_start_says_what_to_do() -> None:
    done = weft("order")
    assert done.exit_code == 1
    assert "weft up" in done.stderr
