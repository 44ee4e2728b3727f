"""The user's channel at the public door, and the trace that goes all the way to it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from stack.backends.connect import connect
from stack.system import System as Stack
from tests.end_to_end.outside import EVERY_SCOPE, Door, Running, an_order, is_problem

Caller = Callable[..., Door]
SECONDS = 60.0


async def told(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """Return the next message of a type."""
    while True:
        message: dict[str, Any] = await socket.receive_json(timeout=SECONDS)
        if message["type"] == kind:
            return message


async def test_a_browser_hears_of_its_order_in_the_trace_of_its_order(
    caller: Caller, system: Running
) -> None:
    door = caller()
    ticket = (await door.ask("POST", "/v1/updates/tickets")).json
    query = f"?ticket={ticket['ticket']}&after={ticket['seq']}"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{door.url}/v1/updates{query}", headers={"Origin": door.url}) as socket,
    ):
        placed = await door.place(an_order(await door.product(stock=3)))
        pending = await told(socket, "order.placed")
        confirmed = await told(socket, "order.confirmed")
    assert (pending["seq"], confirmed["seq"]) == (1, 2)
    assert pending["id"] == confirmed["id"] == placed.json["order_id"]
    assert confirmed["data"] == {
        "status": "confirmed",
        "total": {"amount": "2.50", "currency": "EUR"},
    }
    _, trace_id, span_id, _ = confirmed["traceparent"].split("-")
    assert trace_id == placed.headers["x-trace-id"]
    async with connect(Stack.load(system.environment)) as backends, asyncio.timeout(SECONDS):
        while True:
            trace = await backends.jaeger.trace(trace_id)
            spans = {span.span_id: span for span in trace.spans} if trace else {}
            if span_id in spans:
                break
            await asyncio.sleep(0.2)
    assert (spans[span_id].service, spans[span_id].name) == ("reports", "send /v1/updates")


async def test_a_token_opens_the_channel_too_and_nothing_is_heard_of_others(
    caller: Caller,
) -> None:
    ann, eve = caller(), caller()
    headers = {"Authorization": f"Bearer {eve.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{eve.url}/v1/updates?after=0") as socket,
    ):
        await ann.finished((await ann.place(an_order(await ann.product(stock=1)))).json["order_id"])
        mine = (await eve.place(an_order(await eve.product(stock=1)))).json["order_id"]
        assert (await told(socket, "order.confirmed"))["id"] == mine


async def test_a_customer_registers_an_endpoint_and_an_operator_sees_what_it_did_not_take(
    caller: Caller, system: Running, stranger: Door
) -> None:
    wanted = {"url": "https://nowhere.invalid/hook", "events": ["order.*"]}
    is_problem(await stranger.ask("POST", "/v1/webhooks", wanted), 401)
    is_problem(await caller().ask("POST", "/v1/webhooks", wanted), 403)
    door = caller(scopes=(*EVERY_SCOPE, "webhooks:write"))
    inside = {"url": "https://169.254.169.254/latest", "events": ["order.*"]}
    is_problem(await door.ask("POST", "/v1/webhooks", inside), 422)
    registered = await door.ask("POST", "/v1/webhooks", wanted)
    assert registered.status == 201
    assert registered.json["secret"].startswith("whsec_")
    order_id = (await door.place(an_order(await door.product(stock=1)))).json["order_id"]
    await door.finished(order_id)
    mine: list[dict[str, Any]] = []
    async with asyncio.timeout(SECONDS):
        while len(mine) < 2 or not all(one["error"] for one in mine):
            listed = await asyncio.to_thread(system.weft, "webhooks", "list", "--json")
            assert listed.returncode == 0, listed.stderr
            mine = [one for one in json.loads(listed.stdout) if one["owner"] == door.subject]
    assert {one["type"] for one in mine} == {"order.placed", "order.confirmed"}
    assert {(one["service"], one["state"]) for one in mine} == {("reports", "pending")}
    assert "secret" not in (await door.get("/v1/webhooks")).json["webhooks"][0]
    path = f"/v1/webhooks/{registered.json['webhook_id']}"
    assert (await door.ask("DELETE", path)).status == 204


def test_to_replay_what_is_not_there_is_a_failure(system: Running) -> None:
    done = system.weft("webhooks", "replay", "nothing")
    assert done.returncode == 1
    assert "nothing to replay" in done.stderr


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
async def test_another_pages_socket_is_closed(caller: Caller, origin: str) -> None:
    door = caller()
    headers = {"Authorization": f"Bearer {door.token}", "Origin": origin}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{door.url}/v1/updates") as socket,
    ):
        assert (await socket.receive(SECONDS)).data == 4401
