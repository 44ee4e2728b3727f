"""What Jaeger 2.13 answered for one order, shortened."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stack.backends.http import BackendRefused
from stack.backends.jaeger import Jaeger

TRACE = "499be69c11c2bf60b94ff1e8566155c9"


def stored(span_id: str, references: list[tuple[str, str]], **tags: Any) -> dict[str, Any]:
    return {
        "traceID": TRACE,
        "spanID": span_id,
        "operationName": f"operation {span_id}",
        "references": [
            {"refType": kind, "traceID": TRACE, "spanID": target} for kind, target in references
        ],
        "startTime": 1795446520382803,
        "duration": 3000,
        "tags": [{"key": key, "type": "string", "value": value} for key, value in tags.items()],
        "logs": [],
        "processID": "p1",
        "warnings": None,
    }


def answer(*spans: dict[str, Any]) -> dict[str, Any]:
    trace = {
        "traceID": TRACE,
        "spans": list(spans),
        "processes": {"p1": {"serviceName": "orders", "tags": []}},
    }
    return {"data": [trace], "total": 0, "limit": 0, "offset": 0, "errors": None}


@asynccontextmanager
async def jaeger(
    respond: Callable[[web.Request], dict[str, Any] | None],
) -> AsyncIterator[Jaeger]:
    async def handle(request: web.Request) -> web.Response:
        body = respond(request)
        missing = {"data": None, "errors": [{"code": 404, "msg": "trace not found"}]}
        return web.json_response(body or missing, status=200 if body else 404)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield Jaeger("jaeger", str(server.make_url("")), session)


async def test_a_span_has_its_service_its_kind_and_its_times_in_seconds() -> None:
    body = answer(stored("a", [], **{"span.kind": "server", "http.route": "/v1/orders"}))
    async with jaeger(lambda _: body) as client:
        trace = await client.trace(TRACE)
    assert trace is not None
    [span] = trace.spans
    assert (span.service, span.kind, span.name) == ("orders", "server", "operation a")
    assert span.start == pytest.approx(1795446520.382803)
    assert span.duration == pytest.approx(0.003)
    assert span.attributes == {"http.route": "/v1/orders"}


async def test_a_parent_that_is_linked_to_as_well_is_stored_as_following_and_is_the_parent() -> (
    None
):
    body = answer(stored("send", []), stored("process", [("FOLLOWS_FROM", "send")]))
    async with jaeger(lambda _: body) as client:
        trace = await client.trace(TRACE)
    assert trace is not None
    process = next(span for span in trace.spans if span.span_id == "process")
    assert process.parent_id == "send"
    assert process.links == ["send"]
    assert trace.whole


async def test_a_link_to_another_span_is_not_the_parent() -> None:
    references = [("FOLLOWS_FROM", "elsewhere"), ("CHILD_OF", "a")]
    async with jaeger(lambda _: answer(stored("a", []), stored("b", references))) as client:
        trace = await client.trace(TRACE)
    assert trace is not None
    assert trace.spans[1].parent_id == "a"
    assert trace.spans[1].links == ["elsewhere"]


async def test_a_failed_span_says_what_the_exception_said() -> None:
    failed = stored("a", [], error=True, **{"error.type": "ConnectionError"})
    failed["logs"] = [
        {"timestamp": 1, "fields": [{"key": "exception.message", "value": "no route"}]}
    ]
    async with jaeger(lambda _: answer(failed)) as client:
        trace = await client.trace(TRACE)
    assert trace is not None
    assert trace.spans[0].error == "ConnectionError: no route"


async def test_a_trace_that_is_not_there_is_none() -> None:
    async with jaeger(lambda _: None) as client:
        assert await client.trace(TRACE) is None


async def test_an_answer_of_another_shape_is_refused_by_name() -> None:
    async with jaeger(lambda _: {"data": "nonsense"}) as client:
        with pytest.raises(BackendRefused, match="jaeger answered 200"):
            await client.services()


async def test_a_trace_is_waited_for_until_its_last_parent_arrives() -> None:
    begun = time.monotonic()

    def respond(_: web.Request) -> dict[str, Any] | None:
        age = time.monotonic() - begun
        if age < 0.3:
            return None
        child = stored("b", [("CHILD_OF", "a")])
        return answer(child) if age < 0.6 else answer(stored("a", []), child)

    async with jaeger(respond) as client:
        trace = await client.settled(TRACE, deadline=10)
    assert trace is not None
    assert trace.whole
    assert time.monotonic() - begun >= 0.6


async def test_a_trace_that_never_gets_whole_is_given_at_the_deadline() -> None:
    async with jaeger(lambda _: answer(stored("b", [("CHILD_OF", "a")]))) as client:
        trace = await asyncio.wait_for(client.settled(TRACE, deadline=0.6), 60)
    assert trace is not None
    assert not trace.whole


async def test_a_search_is_bounded_in_time_and_number_and_asks_for_all_tags() -> None:
    asked: dict[str, str] = {}

    def respond(request: web.Request) -> dict[str, Any]:
        asked.update(request.query)
        return {"data": []}

    async with jaeger(respond) as client:
        tags = {"http.route": "/v1/orders", "error": "true"}
        assert await client.find("orders", since=1.5, until=2.5, tags=tags, min_span=0.5) == []
    assert json.loads(asked.pop("tags")) == tags
    assert asked == {
        "service": "orders",
        "start": "1500000",
        "end": "2500000",
        "limit": "20",
        "minDuration": "500000us",
        "raw": "true",
    }


async def test_latencies_without_traffic_are_none() -> None:
    points = [
        {"gaugeValue": {"doubleValue": "NaN"}, "timestamp": "2026-01-01T00:00:00Z"},
        {"gaugeValue": {"doubleValue": 4.75}, "timestamp": "2026-01-01T00:00:05Z"},
    ]
    async with jaeger(lambda _: {"metrics": [{"metricPoints": points}]}) as client:
        assert [point.value for point in await client.latencies("orders")] == [None, 4.75]
