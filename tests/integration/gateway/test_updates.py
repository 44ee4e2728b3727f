"""WebSockets through the gateway: whose they are, from which page, and what passes."""

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.integration.gateway.kit import API_KEY, Gateway

PATH = "/v1/updates"


def url(gateway: Gateway, query: str = "") -> str:
    return f"http://127.0.0.1:{gateway.port}{PATH}{query}"


async def heard(gateway: Gateway, query: str = "", **headers: str) -> list[str]:
    """What comes by a socket, and last its close code."""
    async with gateway.session.ws_connect(url(gateway, query), headers=headers) as socket:
        came = [message.data async for message in socket]
    return [*came, str(socket.close_code)]


async def test_a_socket_reaches_reports_as_its_caller_and_what_it_says_comes_back(
    gateway: Gateway,
) -> None:
    assert await heard(gateway, "?after=3", **gateway.bearer("ann")) == [
        "ann after=3",
        "4444",
    ]


async def test_an_api_key_is_a_token_inside(gateway: Gateway) -> None:
    assert await heard(gateway, **{"X-API-Key": API_KEY}) == ["bob ", "4444"]


async def test_a_ticket_in_the_query_goes_through_without_a_token(gateway: Gateway) -> None:
    assert await heard(gateway, "?ticket=abc") == [" ticket=abc", "4444"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example"]
)
async def test_a_page_of_another_origin_is_closed_with_4401(gateway: Gateway, origin: str) -> None:
    assert await heard(gateway, Origin=origin, **gateway.bearer()) == ["4401"]


async def test_a_page_of_our_own_may_open_it(gateway: Gateway) -> None:
    origin = f"http://127.0.0.1:{gateway.port}"
    assert await heard(gateway, Origin=origin, **gateway.bearer("ann")) == ["ann ", "4444"]


async def test_a_plain_request_is_a_426_and_reports_away_a_503(gateway: Gateway) -> None:
    status, _, _ = await gateway.ask("GET", PATH)
    assert status == 426
    reports = gateway.inner["reports"]
    await reports.server.stop()
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await heard(gateway, **gateway.bearer())
    assert caught.value.status == 503
    await reports.start()


async def test_a_gateway_that_stops_tells_its_sockets(tmp_path: Path) -> None:
    async with Gateway.running(tmp_path) as own:
        headers = own.bearer("stay")
        async with own.session.ws_connect(url(own), headers=headers) as socket:
            assert await socket.receive_str(timeout=30) == "stay "
            own.processes[0].send_signal(signal.SIGTERM)
            assert (await socket.receive(30)).data == 1001
        await asyncio.to_thread(own.processes[0].wait, 60)
