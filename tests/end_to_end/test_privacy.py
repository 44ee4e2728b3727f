"""Cards, tokens, addresses and credentials reach no backend, by whatever field they come."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from stack.backends.connect import Backends, connect
from stack.system import System as Stack
from tests.end_to_end.conftest import Caller
from tests.end_to_end.outside import Door, Running, an_order
from tests.end_to_end.private import Secrets, stored

AT_ONCE = 8
Request = tuple[str, str, Any, dict[str, str]]


@pytest.fixture
async def backends(system: Running) -> AsyncIterator[Backends]:
    async with connect(Stack.load(system.environment)) as clients:
        yield clients


def requests(value: str, sku: str) -> Iterator[Request]:
    """Every field of the API, and headers, with `value` in it."""
    in_path, key = quote(value, safe=""), {"Idempotency-Key": secrets.token_hex(8)}
    price = {"amount": "1.00", "currency": "EUR"}
    report = {"kind": "sales", "from": "2026-01-01", "to": "2026-02-01", "format": "csv"}
    for path in ("products", "orders", "reports", in_path):
        yield "GET", f"/v1/{path}/{in_path}", None, {}
    for name in ("status", "limit", "cursor", in_path):
        yield "GET", f"/v1/orders?{name}={in_path}", None, {}
        yield "GET", f"/v1/products?{name}={in_path}", None, {}
    good = an_order(sku)
    for body in (
        {**good, "items": [{"sku": value, "quantity": 1}]},
        {**good, "items": [{"sku": sku, "quantity": value}]},
        {**good, "items": value},
        {**good, "payment": {"token": value}},
        {**good, "payment": value},
        {**good, value: value},
        value.encode(),
    ):
        yield "POST", "/v1/orders", body, key
    yield "POST", "/v1/orders", good, {"Idempotency-Key": value}
    for field in report:
        yield "POST", "/v1/reports", {**report, field: value}, key
    yield "PUT", f"/v1/products/{in_path}", {"name": value, "price": price, "stock": 1}, {}
    for product in (
        {"name": value, "price": price, "stock": 1},
        {"name": "n", "price": {"amount": value, "currency": "EUR"}, "stock": 1},
        {"name": "n", "price": {"amount": "1.00", "currency": value}, "stock": 1},
        {"name": "n", "price": price, "stock": value},
    ):
        yield "PUT", f"/v1/products/{sku}", product, {}
    yield "POST", "/graphql", {"query": value, "variables": {"a": value}}, {}
    yield "GET", f"/ops/trace/{in_path}", None, {}
    yield "GET", f"/v1/updates?after={in_path}&ticket={in_path}", None, {}
    for header in (
        "Authorization",
        "X-API-Key",
        "Cookie",
        "User-Agent",
        "Referer",
        "X-Request-Id",
        "X-Forwarded-For",
        "Origin",
        "Content-Type",
        "traceparent",
        "tracestate",
        "baggage",
    ):
        yield "POST", "/v1/orders", good, {**key, header: value}


async def told(backends: Backends, door: Door, sku: str) -> str:
    """Have an order be stored, trace and lines; what came before it is there, too. Its trace id."""
    answer = await door.place(an_order(sku))
    assert answer.status == 202, answer.body
    trace_id = answer.headers["x-trace-id"]
    async with asyncio.timeout(60):
        while not await backends.jaeger.settled(trace_id, deadline=5):
            pass
        while not await backends.loki.of_trace(  # noqa: ASYNC110 - nobody tells of it
            trace_id, since=time.time() - 120, until=time.time() + 1
        ):
            await asyncio.sleep(0.25)
    return trace_id


@pytest.mark.alone
async def test_what_comes_by_any_field_of_the_api_is_in_no_backend(
    backends: Backends, caller: Caller
) -> None:
    hidden, began = Secrets(), time.time()
    door = caller()
    sku = await door.product(stock=1000)
    gate = asyncio.Semaphore(AT_ONCE)

    async def send(request: Request) -> int:
        async with gate:
            return (await door.ask(*request)).status

    addressed = caller(hidden.values["address"])  # a subject that is an address
    assert (await addressed.place(an_order(sku))).status == 202
    values = (hidden.together, hidden.values["token"])  # that alone has a right form somewhere
    sent = [send(request) for value in values for request in requests(value, sku)]
    statuses = await asyncio.gather(*sent)
    assert max(statuses) < 500, "a field made an error of ours"
    trace_id = await told(backends, door, sku)

    texts = await stored(backends, began)
    end = time.monotonic() + 60
    while "weft_orders_total" not in texts["prometheus"] and time.monotonic() < end:
        await asyncio.sleep(1)  # metrics come every five seconds
        texts = await stored(backends, began)
    for name, text in texts.items():
        assert hidden.within(text) == [], f"in {name}"
    assert trace_id in texts["jaeger"], "what was stored was not read"
    assert trace_id in texts["loki"], "what was stored was not read"
    assert door.subject in texts["jaeger"], "all was hidden, not only what has to be"
    assert "weft_orders_total" in texts["prometheus"]


@pytest.mark.alone
async def test_what_a_service_emits_by_mistake_stops_at_the_collector(
    backends: Backends, system: Running
) -> None:
    hidden, began = Secrets(), time.time()
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    harmless = f"harmless-{secrets.token_hex(6)}"
    now = str(time.time_ns())
    text = f"{harmless} {hidden.together}"
    said = [
        {"key": f"test.value.{number}", "value": {"stringValue": f"{harmless} {value}"}}
        for number, value in enumerate(hidden.values.values())
    ]
    said += [
        {"key": "http.request.header.authorization", "value": {"stringValue": hidden.cores[-1]}},
        {"key": "test.list", "value": {"arrayValue": {"values": [{"stringValue": text}]}}},
        {"key": "test.number", "value": {"intValue": hidden.card}},
    ]
    resource = {
        "attributes": [
            {"key": "service.name", "value": {"stringValue": "private-test"}},
            {"key": "service.instance.id", "value": {"stringValue": text}},
            *said,
        ]
    }
    span = {
        "traceId": trace_id,
        "spanId": span_id,
        "name": text,
        "kind": 2,
        "startTimeUnixNano": now,
        "endTimeUnixNano": now,
        "attributes": said,
        "events": [{"name": "exception", "timeUnixNano": now, "attributes": said}],
        "status": {"code": 2, "message": text},
    }
    record = {
        "timeUnixNano": now,
        "traceId": trace_id,
        "spanId": span_id,
        "body": {"stringValue": text},
        "attributes": said,
    }
    point = {"timeUnixNano": now, "asInt": "1", "attributes": said}
    metric = {"name": "weft_private_test", "gauge": {"dataPoints": [point]}}
    requests = {
        "traces": {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]},
        "logs": {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]},
        "metrics": {
            "resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]
        },
    }
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        for signal, request in requests.items():
            url = f"{system.url('collector')}/v1/{signal}"
            headers = {"Content-Type": "application/json"}
            async with session.post(url, data=json.dumps(request), headers=headers):
                pass

    texts: dict[str, str] = {}
    async with asyncio.timeout(60):
        while not texts or any(harmless not in text for text in texts.values()):
            await asyncio.sleep(0.5)
            texts = await stored(backends, began)
    for name, text in texts.items():
        assert hidden.within(text) == [], f"in {name}"
