import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stack.backends.gateway import Gateway
from stack.cli import ordering
from stack.cli.ordering import Wish, order

ORDER = "01a208f3-43c9-75ba-a14b-7c8a6e9af70c"
TRACE = "da2d5a0e9396fbb5c692a9edc35decfe"
WISH = Wish(sku="SKU-0001", quantity=2, payment="tok_ok", subject="demo")


class Shop:
    """A gateway that has one answer to the question how the order is."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session

    def gateway(self, subject: str, scopes: Sequence[str]) -> Gateway:
        assert subject == "demo"
        assert set(scopes) == {"orders:read", "orders:write"}
        return Gateway(self._url, self._session, token="secret-token")


@asynccontextmanager
async def shop(status: str, *events: str, reason: str | None = None) -> AsyncIterator[Any]:
    async def place(_: web.Request) -> web.Response:
        accepted = {"order_id": ORDER, "status": "pending"}
        return web.json_response(accepted, status=202, headers={"X-Trace-Id": TRACE})

    async def show(_: web.Request) -> web.Response:
        told = [{"type": event, "at": "2026-01-01T00:00:00.25Z"} for event in events]
        state = {"order_id": ORDER, "status": status, "reason": reason, "events": told}
        return web.json_response(state)

    app = web.Application()
    app.router.add_post("/v1/orders", place)
    app.router.add_get(f"/v1/orders/{ORDER}", show)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield Shop(str(server.make_url("")), session)


async def test_a_confirmed_order_tells_its_events_its_trace_and_how_to_see_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with shop("confirmed", "OrderPlaced", "OrderConfirmed") as backends:
        assert await order(backends, WISH, follow=True, as_json=False) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == f"order {ORDER} placed: 2 x SKU-0001"
    assert [row.split()[-1] for row in rows[1:3]] == ["OrderPlaced", "OrderConfirmed"]
    assert rows[3:] == ["confirmed", f"trace {TRACE}", f"see it: weft trace {ORDER}"]


async def test_a_rejected_order_says_why_and_is_exit_code_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with shop("rejected", "OrderRejected", reason="payment_declined") as backends:
        assert await order(backends, WISH, follow=True, as_json=False) == 1
    assert "rejected: payment_declined" in capsys.readouterr().out


async def test_an_order_that_does_not_end_is_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "_DEADLINE", 0.3)
    async with shop("pending", "OrderPlaced") as backends:
        assert await order(backends, WISH, follow=True, as_json=False) == 1
    assert "not finished after 0.3 s" in capsys.readouterr().out


async def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    async with shop("confirmed", "OrderPlaced", "OrderConfirmed") as backends:
        assert await order(backends, WISH, follow=True, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["order_id"], told["trace_id"], told["status"]) == (ORDER, TRACE, "confirmed")
    assert [event["type"] for event in told["events"]] == ["OrderPlaced", "OrderConfirmed"]


async def test_an_order_that_is_not_followed_is_done_when_it_is_accepted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with shop("rejected") as backends:
        assert await order(backends, WISH, follow=False, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "pending"
