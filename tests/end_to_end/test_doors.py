"""What programs send that do not speak OTLP is found where all other telemetry is."""

import asyncio
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
import msgspec
import pytest

from stack.backends.connect import connect
from stack.system import System as Stack
from tests.end_to_end.outside import Running
from weft.backends.logql import Query

DEADLINE = 60.0

T = TypeVar("T")

pytestmark = pytest.mark.timeout(180)


async def test_a_span_by_zipkin_is_found_in_jaeger_by_todays_name(system: Running) -> None:
    stack, name, trace_id = Stack.load(system.environment), _a_name(), secrets.token_hex(16)
    span = {
        "traceId": trace_id,
        "id": secrets.token_hex(8),
        "name": "get /old",
        "kind": "SERVER",
        "timestamp": time.time_ns() // 1000,
        "duration": 1000,
        "localEndpoint": {"serviceName": name},
        "tags": {"http.method": "GET", "http.status_code": "500", "error": "true"},
    }
    url = f"{stack.ports.url('otel-collector-zipkin')}/api/v2/spans"
    async with aiohttp.ClientSession() as http, http.post(url, json=[span]) as answer:
        assert answer.status == 202
    async with connect(stack) as backends:
        trace = await _there(lambda: backends.jaeger.trace(trace_id))
    [stored] = trace.spans
    assert (stored.service, stored.kind, stored.status) == (name, "server", 500)
    assert stored.attributes["http.request.method"] == "GET"
    assert "http.method" not in stored.attributes


async def test_a_record_by_fluent_forward_is_found_in_loki(system: Running) -> None:
    stack, tag, now = Stack.load(system.environment), _a_name(), time.time()
    record = {"log": "from afar", "http.method": "PUT"}
    answer = await asyncio.to_thread(_forwarded, stack, [tag, int(now), record, {"chunk": tag}])
    assert answer == {"ack": tag}
    async with connect(stack) as backends:
        search = backends.loki.search
        [line] = await _there(lambda: search(Query(service=tag), since=now - 60, until=now + 60))
    assert line.message == "from afar"
    assert line.facts["http_request_method"] == "PUT"


async def _there(ask: Callable[[], Awaitable[T | None]]) -> T:
    """Ask until there is something."""
    async with asyncio.timeout(DEADLINE):
        while True:
            if found := await ask():
                return found
            await asyncio.sleep(0.2)


def _forwarded(stack: Stack, event: list[Any]) -> Any:
    """Send as Fluentd's own clients do: message mode, and wait for the acknowledgement."""
    address = ("127.0.0.1", stack.ports.of("otel-collector-fluent"))
    with socket.create_connection(address, timeout=DEADLINE) as door:
        door.sendall(msgspec.msgpack.encode(event))
        return msgspec.msgpack.decode(door.recv(1024))


def _a_name() -> str:
    return f"foreign-{secrets.token_hex(4)}"
