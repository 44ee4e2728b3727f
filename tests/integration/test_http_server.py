"""A real server on a loopback port, called by a real client."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import pytest
from aiohttp.web import StreamResponse

from weft import health
from weft.errors import Unavailable, VersionConflict
from weft.http import (
    Authenticator,
    HttpServer,
    Identity,
    Problem,
    Reply,
    Request,
    Routes,
    TokenSigner,
    new_private_key,
    specification,
)
from weft.telemetry import record

SIGNER = TokenSigner(new_private_key())


class Item(msgspec.Struct):
    sku: str
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Placement(msgspec.Struct):
    items: Annotated[list[Item], msgspec.Meta(min_length=1, max_length=100)]


class Page(msgspec.Struct):
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class Away:
    """A component whose dependency does not answer."""

    name = "rabbitmq"

    async def start(self) -> None: ...

    async def check(self) -> None:
        raise Unavailable("rabbitmq", "connection refused")

    async def stop(self) -> None: ...


class Shop:
    """Routes of every kind; `slow` handlers wait for `go`."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.go = asyncio.Event()
        self.routes = Routes()
        self.routes.get("/v1/who")(self.who)
        self.routes.post("/v1/orders", scope="orders:write", status=202)(self.place)
        self.routes.get("/v1/orders", public=True)(self.list)
        self.routes.get("/v1/orders/{order_id}", public=True)(self.show)
        self.routes.get("/v1/fail/{kind}", public=True)(self.fail)
        self.routes.get("/v1/slow", public=True)(self.slow)
        self.routes.delete("/v1/orders/{order_id}", public=True, status=204)(self.drop)
        self.routes.put("/v1/orders/{order_id}", public=True)(self.put)
        self.routes.raw("POST", "/v1/stream", self.stream, public=True)
        self.routes.raw("GET", "/v1/endless", self.endless, public=True)
        self.routes.include(health.routes("shop", [Away()]))
        self.routes.include(specification(self.routes, title="shop", version="1"))

    async def who(self, request: Request) -> dict[str, Any]:
        return {"subject": request.subject, "scopes": sorted(request.scopes)}

    async def place(self, request: Request, body: Placement) -> Placement:
        assert request.raw
        return body

    async def list(self, _: Request, query: Page) -> Page:
        return query

    async def show(self, request: Request) -> dict[str, str]:
        return {"order_id": request.path["order_id"], "query": request.query_string}

    async def put(self, request: Request, body: Item) -> Reply[Item]:
        created = request.path["order_id"] == "new"
        return Reply(body, 201 if created else 200, {"Location": "/v1/orders/new"})

    async def drop(self, _: Request) -> None: ...

    async def fail(self, request: Request) -> None:
        raise {
            "bug": RuntimeError("the password is s3cret"),
            "away": Unavailable("postgres", "refused s3cret"),
            "conflict": VersionConflict("order-1", 3),
            "problem": Problem(409, detail="Not now.", headers={"Retry-After": "7"}),
        }[request.path["kind"]]

    async def slow(self, _: Request) -> dict[str, bool]:
        self.entered.set()
        await self.go.wait()
        return {"done": True}

    async def stream(self, request: Request) -> StreamResponse:
        body = await request.read()
        response = StreamResponse()
        await response.prepare(request.http)
        await response.write(body[::-1])
        await response.write_eof()
        return response

    async def endless(self, request: Request) -> StreamResponse:
        response = StreamResponse()
        await response.prepare(request.http)
        self.entered.set()
        while True:
            await response.write(b"x" * 65536)
            await asyncio.sleep(0)


@pytest.fixture
async def shop() -> Shop:
    return Shop()


@pytest.fixture
async def server(shop: Shop, tmp_path: Path) -> AsyncIterator[HttpServer]:
    jwks = tmp_path / "jwks.json"
    jwks.write_bytes(msgspec.json.encode(SIGNER.jwks()))
    server = HttpServer("shop", shop.routes, port=0, auth=Authenticator(str(jwks)))
    await server.start()
    server.open()
    yield server
    shop.go.set()
    await server.stop()


@pytest.fixture
async def client(server: HttpServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client:
        yield client


def bearer(*scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SIGNER.mint('alice', scopes, 60).token}"}


async def problem(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The problem document, which has all its members."""
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = await response.json(content_type=None)
    assert document["status"] == response.status
    assert document["type"]
    assert document["title"]
    return document


async def test_a_body_is_decoded_and_the_answer_encoded(client: aiohttp.ClientSession) -> None:
    order = {"items": [{"sku": "SKU-0001", "quantity": 2}]}
    async with client.post("/v1/orders", json=order, headers=bearer("orders:write")) as response:
        assert response.status == 202
        assert response.content_type == "application/json"
        assert await response.json() == order


async def test_path_values_and_query_reach_the_handler(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/orders/a%20b?x=1&y=%20") as response:
        assert await response.json() == {"order_id": "a b", "query": "x=1&y=%20"}


async def test_a_reply_has_its_own_status_and_headers(client: aiohttp.ClientSession) -> None:
    item = {"sku": "A", "quantity": 1}
    async with client.put("/v1/orders/new", json=item) as response:
        assert response.status == 201
        assert response.headers["Location"] == "/v1/orders/new"
        assert await response.json() == item


async def test_nothing_is_an_empty_answer(client: aiohttp.ClientSession) -> None:
    async with client.delete("/v1/orders/7") as response:
        assert (response.status, await response.read()) == (204, b"")


async def test_head_is_get_without_a_body(client: aiohttp.ClientSession) -> None:
    async with client.head("/v1/orders/7") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_a_raw_route_streams(client: aiohttp.ClientSession) -> None:
    async with client.post("/v1/stream", data=b"abc") as response:
        assert (response.status, await response.read()) == (200, b"cba")


async def test_every_answer_has_a_request_id_and_a_trace_id(client: aiohttp.ClientSession) -> None:
    for path in ("/v1/orders/7", "/nowhere", "/v1/fail/bug", "/healthz", "/v1/who"):
        async with client.get(path) as response:
            assert len(response.headers["x-request-id"]) == 36
            assert len(response.headers["x-trace-id"]) == 32


@pytest.mark.parametrize("given", ["abc", "A.b_c-9", "a" * 64])
async def test_a_callers_request_id_is_kept(client: aiohttp.ClientSession, given: str) -> None:
    async with client.get("/v1/orders/7", headers={"x-request-id": given}) as response:
        assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a" * 65, "a b", "ä", "a;b"])
async def test_a_bad_request_id_is_replaced(client: aiohttp.ClientSession, given: str) -> None:
    async with client.get("/v1/orders/7", headers={"x-request-id": given}) as response:
        assert response.status == 200
        assert len(response.headers["x-request-id"]) == 36


async def test_without_credentials_it_is_a_401(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/who") as response:
        assert (await problem(response))["status"] == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_without_the_scope_it_is_a_403(client: aiohttp.ClientSession) -> None:
    async with client.post("/v1/orders", data=b"{", headers=bearer("orders:read")) as response:
        assert (await problem(response))["status"] == 403
        assert 'scope="orders:write"' in response.headers["WWW-Authenticate"]


async def test_a_token_tells_who_calls(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/who", headers=bearer("orders:read")) as response:
        assert await response.json() == {"subject": "alice", "scopes": ["orders:read"]}


async def test_a_public_route_takes_a_bad_token_for_none(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/orders/7", headers={"Authorization": "Bearer x"}) as response:
        assert response.status == 200


async def test_an_unknown_path_is_a_404_and_a_wrong_method_a_405(
    client: aiohttp.ClientSession,
) -> None:
    async with client.get("/nowhere") as response:
        assert (await problem(response))["status"] == 404
    async with client.patch("/v1/orders") as response:
        assert (await problem(response))["status"] == 405
        assert response.headers["Allow"] == "GET, HEAD, POST"


async def test_wrong_content_is_a_422_that_points_at_it(client: aiohttp.ClientSession) -> None:
    order = {"items": [{"sku": "A", "quantity": 0}]}
    async with client.post("/v1/orders", json=order, headers=bearer("orders:write")) as response:
        (error,) = (await problem(response))["errors"]
        assert response.status == 422
        assert error["path"] == "/items/0/quantity"


async def test_a_bad_query_is_a_400(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/orders?limit=201") as response:
        assert (await problem(response))["errors"][0]["path"] == "/limit"
        assert response.status == 400


async def test_a_body_that_is_not_json_is_a_415(client: aiohttp.ClientSession) -> None:
    async with client.put("/v1/orders/7", data={"a": "b"}) as response:
        assert (await problem(response))["status"] == 415


async def test_a_dependency_that_is_away_is_a_503_to_be_tried_again(
    client: aiohttp.ClientSession,
) -> None:
    for kind in ("away", "conflict"):
        async with client.get(f"/v1/fail/{kind}") as response:
            assert "s3cret" not in str(await problem(response))
            assert response.status == 503
            assert response.headers["Retry-After"] == "1"


async def test_a_handlers_problem_is_the_answer(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/fail/problem") as response:
        assert await problem(response) == {
            "type": "about:blank",
            "title": "Conflict",
            "status": 409,
            "detail": "Not now.",
        }
        assert response.headers["Retry-After"] == "7"


async def test_a_bug_is_a_500_that_tells_nothing_and_is_logged_once(
    client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[tuple[str, BaseException | None]] = []

    def told(level: str, _name: str, _message: str, _facts: Any, exc: Any, _ctx: Any) -> None:
        lines.append((level, exc))

    monkeypatch.setattr(record._engine, "log", told)
    async with client.get("/v1/fail/bug") as response:
        assert response.status == 500
        assert "s3cret" not in str(await problem(response))
    ((level, exc),) = lines
    assert level == "ERROR"
    assert isinstance(exc, RuntimeError)


async def test_before_it_is_opened_only_the_probes_answer(
    server: HttpServer, client: aiohttp.ClientSession
) -> None:
    server.close()
    async with client.get("/v1/orders/7") as response:
        assert (await problem(response))["status"] == 503
        assert response.headers["Retry-After"] == "1"
    async with client.get("/healthz") as response:
        assert response.status == 200
        assert await response.json() == {"status": "ok", "dependencies": []}


async def test_readiness_names_each_dependency(client: aiohttp.ClientSession) -> None:
    async with client.get("/readyz") as response:
        assert response.status == 503
        answer = await response.json()
        (dependency,) = answer["dependencies"]
        assert answer["status"] == "unavailable"
        assert dependency.pop("latency_ms") >= 0
        assert dependency == {"name": "rabbitmq", "ok": False, "error": "connection refused"}


async def test_metrics_are_prometheus_text(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics") as response:
        assert response.content_type == "text/plain"
        assert 'weft_dependency_ready{service="shop",dependency="rabbitmq"} 0' in (
            await response.text()
        )


async def test_the_specification_is_served(client: aiohttp.ClientSession) -> None:
    async with client.get("/openapi.json") as response:
        assert (await response.json())["paths"]["/v1/orders"]["post"]["security"][0] == {
            "bearer": ["orders:write"]
        }


async def test_stopping_lets_what_is_in_hand_end(
    shop: Shop, server: HttpServer, client: aiohttp.ClientSession
) -> None:
    slow = asyncio.create_task(_get(client, "/v1/slow"))
    await shop.entered.wait()
    stopping = asyncio.create_task(server.stop())
    with pytest.raises(Unavailable):
        await _until_not_listening(server)
    shop.go.set()
    assert await slow == (200, {"done": True})
    await asyncio.wait_for(stopping, 60)


async def _get(client: aiohttp.ClientSession, path: str) -> tuple[int, Any]:
    async with client.get(path) as response:
        return response.status, await response.json(content_type=None)


async def _until_not_listening(server: HttpServer) -> None:
    async with asyncio.timeout(60):
        while True:
            await server.check()
            await asyncio.sleep(0.01)


async def test_stopping_cuts_off_what_does_not_end_in_time(shop: Shop) -> None:
    server = HttpServer("shop", shop.routes, port=0, auth=Nobody(), drain_timeout=0.05)
    await server.start()
    server.open()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client:
        slow = asyncio.create_task(_get(client, "/v1/slow"))
        await shop.entered.wait()
        await asyncio.wait_for(server.stop(), 60)
        with suppress(aiohttp.ClientError):
            await slow
    assert slow.done()


class Nobody:
    """Authentication that knows nobody."""

    async def identify(self, headers: Mapping[str, str]) -> Identity | None:
        del headers
        return None


@pytest.mark.parametrize("path", [b"/v1/slow", b"/v1/endless"])
async def test_a_client_that_goes_away_is_no_error(
    shop: Shop,
    server: HttpServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: bytes,
) -> None:
    lines: list[tuple[str, dict[str, Any]]] = []

    def told(level: str, _name: str, _message: str, facts: Any, _exc: Any, _ctx: Any) -> None:
        lines.append((level, facts))

    monkeypatch.setattr(record._engine, "log", told)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
    await shop.entered.wait()
    writer.transport.abort()
    shop.go.set()
    async with asyncio.timeout(60):
        while not lines:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)
    assert [level for level, _ in lines] == ["INFO"]
    assert [record.getMessage() for record in caplog.records] == []
    del reader


async def test_a_taken_port_is_an_error_of_the_start(shop: Shop, server: HttpServer) -> None:
    other = HttpServer("other", shop.routes, port=server.port, auth=Nobody())
    with pytest.raises(OSError, match="in use"):
        await other.start()


async def test_instances_can_share_a_port() -> None:
    routes = Routes()
    first = HttpServer("a", routes, port=0, reuse_port=True)
    await first.start()
    second = HttpServer("b", routes, port=first.port, reuse_port=True)
    await second.start()
    await first.stop()
    await second.check()
    await second.stop()


def test_a_scope_without_authentication_is_refused_at_once() -> None:
    routes = Routes()

    @routes.get("/v1/orders", scope="orders:read")
    async def show(_: Request) -> None: ...

    with pytest.raises(ValueError, match="scope"):
        HttpServer("x", routes, port=0)


async def test_an_instance_that_stops_takes_no_request_with_it() -> None:
    routes = Routes()

    @routes.get("/", public=True)
    async def show(_: Request) -> dict[str, bool]:
        await asyncio.sleep(0)
        return {"ok": True}

    first = HttpServer("a", routes, port=0, reuse_port=True)
    await first.start()
    first.open()
    second = HttpServer("b", routes, port=first.port, reuse_port=True)
    await second.start()
    second.open()
    stopped = asyncio.Event()

    async def ask(client: aiohttp.ClientSession) -> set[int]:
        statuses = set()
        asked_after = 0
        while asked_after < 20:
            asked_after += stopped.is_set()
            async with client.get("/") as response:
                statuses.add(response.status)
        return statuses

    async with aiohttp.ClientSession(f"http://127.0.0.1:{second.port}") as client:
        asking = asyncio.gather(*(ask(client) for _ in range(8)))
        await asyncio.sleep(0)
        await first.stop()
        stopped.set()
        assert set().union(*await asking) == {200}
    await second.stop()
