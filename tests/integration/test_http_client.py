"""The client against real servers that fail in every way."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from tests.ports import free_url
from weft.errors import Unavailable
from weft.http import BreakerPolicy, HttpClient, HttpServer, Reply, Request, Routes

Answer = Callable[[Request, int], Reply[Any]]


class Peer:
    """A server that answers each request as told, and remembers what it was asked."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer or (lambda _, __: Reply({"ok": True}))
        self.asked: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.hang = asyncio.Event()
        self.hang.set()
        routes = Routes()
        for method in ("GET", "POST", "PUT"):
            routes.raw(method, "/{rest...}", self._handle, public=True)
        self.server = HttpServer("peer", routes, port=0, drain_timeout=0.1)

    async def _handle(self, request: Request) -> Reply[Any]:
        self.asked.append((request.method, request.target, await request.read()))
        self.headers.append({k.lower(): v for k, v in request.headers.items()})
        await self.hang.wait()
        return self.answer(request, len(self.asked))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


@pytest.fixture
async def peers() -> AsyncIterator[Callable[..., Any]]:
    started: list[Peer] = []

    async def start(answer: Answer | None = None) -> Peer:
        peer = Peer(answer)
        await peer.server.start()
        peer.server.open()
        started.append(peer)
        return peer

    yield start
    for peer in started:
        peer.hang.set()
        await peer.server.stop()


@asynccontextmanager
async def calling(*urls: str, **options: Any) -> AsyncIterator[HttpClient]:
    client = HttpClient(urls, name="peer", **options)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def test_a_request_arrives_as_it_was_made(peers: Callable[..., Any]) -> None:
    peer = await peers()
    async with calling(peer.url) as client:
        response = await client.request(
            "PUT",
            "/v1/products/{sku}",
            path={"sku": "a?b c"},
            query={"limit": 5},
            json={"name": "ä"},
            headers={"x-request-id": "r1"},
        )
    assert peer.asked == [("PUT", "/v1/products/a%3Fb%20c?limit=5", '{"name":"ä"}'.encode())]
    assert peer.headers[0]["content-type"] == "application/json"
    assert peer.headers[0]["x-request-id"] == "r1"
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json(dict[str, bool]) == {"ok": True}


async def test_an_answer_of_the_wrong_type_is_told(peers: Callable[..., Any]) -> None:
    peer = await peers()
    async with calling(peer.url) as client:
        response = await client.request("GET", "/")
        with pytest.raises(msgspec.DecodeError):
            response.json(list[int])


@pytest.mark.parametrize("status", [400, 404, 409, 422, 429, 500])
async def test_an_answer_is_an_answer_whatever_its_status(
    peers: Callable[..., Any], status: int
) -> None:
    peer = await peers(lambda _, __: Reply({}, status))
    async with calling(peer.url) as client:
        assert (await client.request("GET", "/")).status == status
    assert len(peer.asked) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_an_idempotent_request_is_tried_again(peers: Callable[..., Any], status: int) -> None:
    peer = await peers(lambda _, asked: Reply({}, status if asked < 3 else 200))
    async with calling(peer.url) as client:
        assert (await client.request("GET", "/")).status == 200
    assert len(peer.asked) == 3


async def test_a_post_is_tried_once(peers: Callable[..., Any]) -> None:
    peer = await peers(lambda _, __: Reply({}, 503))
    async with calling(peer.url) as client:
        assert (await client.request("POST", "/", json={})).status == 503
    assert len(peer.asked) == 1


@pytest.mark.parametrize("options", [{"idempotent": True}, {"headers": {"idempotency-key": "k"}}])
async def test_a_post_that_may_be_repeated_is_tried_again(
    peers: Callable[..., Any], options: dict[str, Any]
) -> None:
    peer = await peers(lambda _, asked: Reply({}, 503 if asked == 1 else 200))
    async with calling(peer.url) as client:
        assert (await client.request("POST", "/", json={"a": 1}, **options)).status == 200
    assert [body for _, _, body in peer.asked] == [b'{"a":1}'] * 2


async def test_the_last_answer_is_given_when_tries_run_out(peers: Callable[..., Any]) -> None:
    peer = await peers(lambda _, __: Reply({}, 503))
    async with calling(peer.url, retries=1) as client:
        assert (await client.request("GET", "/")).status == 503
    assert len(peer.asked) == 2


async def test_a_peer_that_asks_for_patience_beyond_the_deadline_is_not_asked_again(
    peers: Callable[..., Any],
) -> None:
    peer = await peers(lambda _, __: Reply({}, 503, {"Retry-After": "60"}))
    async with calling(peer.url) as client:
        began = time.monotonic()
        assert (await client.request("GET", "/")).status == 503
        assert time.monotonic() - began < 30
    assert len(peer.asked) == 1


async def test_nobody_there_is_unavailable() -> None:
    async with calling(free_url()) as client:
        with pytest.raises(Unavailable, match="peer is not available: no connection"):
            await client.request("POST", "/")


async def test_a_post_goes_to_another_address_when_one_cannot_be_reached(
    peers: Callable[..., Any],
) -> None:
    peer = await peers()
    async with calling(free_url(), peer.url) as client:
        for _ in range(4):
            assert (await client.request("POST", "/")).status == 200


async def test_an_address_that_refuses_costs_no_retry(peers: Callable[..., Any]) -> None:
    peer = await peers()
    policy = BreakerPolicy(minimum=10_000)
    dead = free_url(), free_url()
    async with calling(*dead, peer.url, breaker=policy, retries=0, timeout=60.0) as client:
        asked = [client.request("POST", "/") for _ in range(100)]
        assert {answer.status for answer in await asyncio.gather(*asked)} == {200}
    assert len(peer.asked) == 100


async def test_a_request_that_may_have_arrived_goes_to_no_other_address(
    peers: Callable[..., Any],
) -> None:
    first, second = await peers(), await peers()
    first.hang.clear()
    async with calling(first.url, second.url, timeout=2.0) as client:
        with pytest.raises(Unavailable, match="no answer in time"):
            await client.request("POST", "/")
    assert (len(first.asked), len(second.asked)) == (1, 0)


async def test_addresses_come_and_go_while_requests_are_made(peers: Callable[..., Any]) -> None:
    first, second = await peers(), await peers()
    async with calling(first.url) as client:
        client.use([first.url, second.url])
        for _ in range(4):
            await client.request("GET", "/")
        client.use([second.url])
        for _ in range(4):
            await client.request("GET", "/")
        for wrong in ([], ["second"]):
            with pytest.raises(ValueError, match="address"):
                client.use(wrong)
        await client.request("GET", "/")
    assert (len(first.asked), len(second.asked)) == (2, 7)


async def test_a_peer_that_never_answers_is_unavailable_at_the_deadline(
    peers: Callable[..., Any],
) -> None:
    peer = await peers()
    peer.hang.clear()
    async with calling(peer.url, timeout=0.3) as client:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="no answer in time"):
            await client.request("GET", "/")
        assert 0.25 < time.monotonic() - began < 30


async def test_each_try_has_a_deadline_of_its_own(peers: Callable[..., Any]) -> None:
    peer = await peers()
    peer.hang.clear()
    async with calling(peer.url, timeout=60.0, try_timeout=1.0, retries=2) as client:
        with pytest.raises(Unavailable):
            await client.request("GET", "/")
    assert len(peer.asked) == 3


async def test_requests_go_to_the_addresses_in_turn(peers: Callable[..., Any]) -> None:
    first, second = await peers(), await peers()
    async with calling(first.url, second.url) as client:
        for _ in range(10):
            await client.request("GET", "/")
    assert (len(first.asked), len(second.asked)) == (5, 5)


async def test_a_circuit_opens_and_the_peer_is_left_alone(peers: Callable[..., Any]) -> None:
    peer = await peers(lambda _, __: Reply({}, 500))
    policy = BreakerPolicy(minimum=5, open_for=60.0)
    async with calling(peer.url, breaker=policy) as client:
        for _ in range(5):
            assert (await client.request("GET", "/")).status == 500
        with pytest.raises(Unavailable, match="circuit"):
            await client.request("GET", "/")
    assert len(peer.asked) == 5


async def test_a_failing_address_is_skipped_and_taken_back_when_it_works_again(
    peers: Callable[..., Any],
) -> None:
    good = await peers()
    bad = await peers(lambda _, __: Reply({}, 500))
    policy = BreakerPolicy(minimum=3, open_for=60.0)
    async with calling(good.url, bad.url, breaker=policy) as client:
        for _ in range(6):
            await client.request("GET", "/")
        left_alone = len(bad.asked)
        assert left_alone == 3
        statuses = {(await client.request("GET", "/")).status for _ in range(4)}
        assert statuses == {200}
        bad.answer = lambda _, __: Reply({})
        for peer in client._peers:
            peer.breaker._open_until = 0.0  # the minute is over
        async with asyncio.timeout(30):
            while len(bad.asked) < left_alone + 5:
                assert (await client.request("GET", "/")).status == 200


async def test_retries_stop_when_the_budget_is_spent(peers: Callable[..., Any]) -> None:
    peer = await peers(lambda _, __: Reply({}, 503))
    policy = BreakerPolicy(minimum=10_000)
    async with calling(peer.url, breaker=policy, retries=1, timeout=60.0) as client:
        began = time.monotonic()
        await asyncio.gather(*(client.request("GET", "/") for _ in range(100)))
        floor = time.monotonic() - began
    # 10 saved up, a tenth of 100 requests, and one for each second.
    assert 10 <= len(peer.asked) - 100 <= 21 + floor


async def test_an_answer_beyond_the_bound_is_unavailable(peers: Callable[..., Any]) -> None:
    peer = await peers(lambda _, __: Reply(b"x" * 2000))
    async with calling(peer.url, max_response=1000) as client:
        with pytest.raises(Unavailable, match="no whole answer"):
            await client.request("POST", "/")


async def test_a_redirect_is_not_followed(peers: Callable[..., Any]) -> None:
    peer = await peers(lambda _, __: Reply(None, 302, {"Location": "http://127.0.0.1:1/"}))
    async with calling(peer.url) as client:
        assert (await client.request("GET", "/")).status == 302


async def test_a_peer_that_breaks_off_is_unavailable_for_a_post_and_tried_again_for_a_get() -> None:
    connections = itertools.count(1)

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if next(connections) % 2:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, calling(url) as client:
        assert (await client.request("GET", "/")).body == b"ok"
        with pytest.raises(Unavailable, match="no whole answer"):
            await client.request("POST", "/")


async def test_what_is_no_http_is_unavailable() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, calling(url, retries=0) as client:
        with pytest.raises(Unavailable):
            await client.request("GET", "/")


async def test_a_caller_who_stops_waiting_spoils_no_circuit(peers: Callable[..., Any]) -> None:
    peer = await peers()
    peer.hang.clear()
    async with calling(peer.url, breaker=BreakerPolicy(minimum=1)) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.request("GET", "/"), 0.05)
        peer.hang.set()
        assert (await client.request("GET", "/")).status == 200


async def test_a_check_says_whether_anybody_answers(peers: Callable[..., Any]) -> None:
    peer = await peers()
    async with calling(free_url(), peer.url) as client:
        await client.check()
    async with calling(free_url()) as client:
        with pytest.raises(Unavailable):
            await client.check()


@pytest.mark.parametrize("url", ["", "orders:8101", "ftp://orders", "http://"])
def test_an_address_that_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="http URL"):
        HttpClient(url, name="orders")
