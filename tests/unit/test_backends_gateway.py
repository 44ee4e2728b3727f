import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stack.backends.gateway import Gateway
from stack.backends.http import BackendRefused

Handler = Callable[[web.Request], Awaitable[web.Response]]
ORDER = "01a208f3-43c9-75ba-a14b-7c8a6e9af70c"
TRACE = "da2d5a0e9396fbb5c692a9edc35decfe"


@asynccontextmanager
async def gateway(handle: Handler) -> AsyncIterator[Gateway]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield Gateway(str(server.make_url("")), session, token="secret-token")


def order(status: str, *events: str) -> dict[str, Any]:
    return {
        "order_id": ORDER,
        "status": status,
        "reason": None,
        "items": [],
        "total": {"amount": "2.50", "currency": "EUR"},
        "events": [{"type": event, "at": "2026-01-01T00:00:00Z"} for event in events],
        "trace_id": TRACE,
    }


async def test_an_order_is_placed_with_the_token_and_a_key_of_its_own() -> None:
    seen: list[web.Request] = []
    bodies: list[Any] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request)
        bodies.append(await request.json())
        accepted = {"order_id": ORDER, "status": "pending", "links": {"self": "/v1/orders/1"}}
        return web.json_response(accepted, status=202, headers={"X-Trace-Id": TRACE})

    async with gateway(handle) as client:
        placed = await client.place("SKU-0001", 2, "tok_ok")
        await client.place("SKU-0001", 2, "tok_ok")
    assert (placed.order_id, placed.trace_id) == (ORDER, TRACE)
    assert bodies[0] == {
        "items": [{"sku": "SKU-0001", "quantity": 2}],
        "payment": {"token": "tok_ok"},
    }
    assert seen[0].headers["Authorization"] == "Bearer secret-token"
    keys = [uuid.UUID(request.headers["Idempotency-Key"]) for request in seen]
    assert keys[0] != keys[1]


async def test_a_refusal_says_what_the_problem_says_and_not_the_token() -> None:
    problem = {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "the order is wrong",
        "errors": [{"path": "/items/0/sku", "message": "unknown"}],
    }

    async def handle(_: web.Request) -> web.Response:
        text = json.dumps(problem)
        return web.Response(status=422, text=text, content_type="application/problem+json")

    async with gateway(handle) as client:
        with pytest.raises(BackendRefused) as caught:
            await client.place("SKU-9999", 1, "tok_ok")
    told = "Unprocessable Content; the order is wrong; /items/0/sku: unknown"
    assert str(caught.value) == f"gateway answered 422: {told}"
    assert "secret-token" not in repr(caught.value)


async def test_an_order_is_followed_through_its_events_to_its_end() -> None:
    states = [
        None,
        order("pending", "OrderPlaced"),
        order("pending", "OrderPlaced"),
        order("pending", "OrderPlaced", "StockReserved"),
        order("confirmed", "OrderPlaced", "StockReserved", "OrderConfirmed"),
    ]

    async def handle(_: web.Request) -> web.Response:
        state = states.pop(0)
        return web.json_response(state or {"title": "Not Found"}, status=200 if state else 404)

    async with gateway(handle) as client:
        seen = [len(state.events) async for state in client.follow(ORDER)]
    assert seen == [1, 2, 3]


async def test_an_order_that_does_not_end_is_followed_until_the_deadline() -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.json_response(order("pending", "OrderPlaced"))

    async with gateway(handle) as client:
        seen = [state.finished async for state in client.follow(ORDER, deadline=0.3)]
    assert seen == [False]


async def test_the_inbox_tells_what_people_were_told() -> None:
    notice = {
        "identity": ORDER,
        "at": "2026-01-01T00:00:00.5+00:00",
        "status": "firing",
        "severity": "warning",
        "title": "[FIRING] PeerFails (payments)",
        "alerts": [],
        "deliveries": [],
    }

    async def handle(request: web.Request) -> web.Response:
        assert (request.path, request.headers["Accept"]) == ("/ops/inbox", "application/json")
        return web.json_response({"notices": [notice]})

    async with gateway(handle) as client:
        (told,) = await client.inbox()
    assert (told.status, told.title) == ("firing", notice["title"])
    assert told.at.isoformat() == "2026-01-01T00:00:00.500000+00:00"
