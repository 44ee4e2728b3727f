"""Through the public door: what it takes from strangers, and what goes on behind it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from opentelemetry import baggage
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, get_current_span

from weft.http import (
    Authenticator,
    HttpClient,
    HttpServer,
    Reply,
    Request,
    Routes,
    TokenSigner,
    forward,
    new_private_key,
)
from weft.telemetry import record
from weft.telemetry.setup import EdgeSampler

SIGNER = TokenSigner(new_private_key())
TRACE = "0af7651916cd43dd8448eb211c80319c"
UNSAMPLED = f"00-{TRACE}-b7ad6b7169203331-00"
SAMPLED = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=EdgeSampler(ParentBased(ALWAYS_ON)))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(record._engine, "_tracer", provider.get_tracer("weft"))
    return exporter


@pytest.fixture
async def inner(tmp_path: Path) -> AsyncIterator[HttpServer]:
    """A service behind the door, whose keys come from the door's URL."""
    (tmp_path / "jwks.json").write_bytes(msgspec.json.encode(SIGNER.jwks()))
    routes = Routes()

    @routes.get("/v1/orders/{order_id}", scope="orders:read")
    async def show(request: Request) -> dict[str, Any]:
        context = get_current_span().get_span_context()
        return {
            "order_id": request.path["order_id"],
            "subject": request.subject,
            "query": request.query_string,
            "baggage": dict(baggage.get_all()),
            "tracestate": len(context.trace_state),
            "request_id": request.request_id,
        }

    @routes.post("/v1/orders", scope="orders:write", status=202)
    async def place(request: Request, body: dict[str, int]) -> Reply[dict[str, int]]:
        key = request.headers["Idempotency-Key"]
        return Reply(body, headers={"Location": f"/v1/orders/{key}", "X-Inner": "secret"})

    server = HttpServer("orders", routes, port=0, auth=Authenticator(str(tmp_path / "jwks.json")))
    await server.start()
    server.open()
    yield server
    await server.stop()


@pytest.fixture
async def door(inner: HttpServer, tmp_path: Path) -> AsyncIterator[HttpServer]:
    client = HttpClient(f"http://127.0.0.1:{inner.port}", name="orders", retries=0)
    await client.start()
    routes = Routes()

    async def hand_on(request: Request) -> Reply[bytes]:
        return await forward(request, client, "/v1/orders/{order_id}")

    async def place(request: Request) -> Reply[bytes]:
        return await forward(request, client, "/v1/orders")

    async def open_door(request: Request) -> dict[str, str]:
        return {"subject": request.subject}

    routes.raw("GET", "/v1/orders/{order_id}", hand_on)
    routes.raw("POST", "/v1/orders", place)
    routes.get("/public", public=True)(open_door)
    auth = Authenticator(str(tmp_path / "jwks.json"))
    server = HttpServer("gateway", routes, port=0, auth=auth, edge=True)
    await server.start()
    server.open()
    yield server
    await server.stop()
    await client.stop()


@pytest.fixture
async def caller(door: HttpServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{door.port}") as caller:
        yield caller


def bearer() -> dict[str, str]:
    token = SIGNER.mint("alice", ["orders:read", "orders:write"], 60).token
    return {"Authorization": f"Bearer {token}"}


def trace_of(span: ReadableSpan) -> str:
    return f"{span.context.trace_id:032x}"


async def test_an_authenticated_callers_trace_goes_on_through_every_hop(
    caller: aiohttp.ClientSession, spans: InMemorySpanExporter
) -> None:
    headers = {**bearer(), "traceparent": SAMPLED}
    async with caller.get("/v1/orders/7?a=%20", headers=headers) as response:
        assert response.status == 200
        assert response.headers["x-trace-id"] == TRACE
    inner, client, edge = spans.get_finished_spans()
    assert [span.kind for span in (edge, client, inner)] == [
        SpanKind.SERVER,
        SpanKind.CLIENT,
        SpanKind.SERVER,
    ]
    assert {trace_of(span) for span in (edge, client, inner)} == {TRACE}
    assert client.parent is not None
    assert client.parent.span_id == edge.context.span_id
    assert inner.parent is not None
    assert inner.parent.span_id == client.context.span_id
    assert inner.name == "GET /v1/orders/{order_id}"


async def test_a_foreign_flag_does_not_switch_tracing_off(
    caller: aiohttp.ClientSession, spans: InMemorySpanExporter
) -> None:
    async with caller.get("/v1/orders/7", headers={**bearer(), "traceparent": UNSAMPLED}) as got:
        assert got.headers["x-trace-id"] == TRACE
    assert len(spans.get_finished_spans()) == 3


@pytest.mark.parametrize("path", ["/public", "/v1/orders/7", "/nowhere"])
@pytest.mark.parametrize("authorization", [None, "Bearer forged"])
async def test_a_strangers_trace_is_not_continued(
    caller: aiohttp.ClientSession,
    spans: InMemorySpanExporter,
    path: str,
    authorization: str | None,
) -> None:
    headers = {"traceparent": SAMPLED}
    if authorization:
        headers["Authorization"] = authorization
    async with caller.get(path, headers=headers) as response:
        shown = response.headers["x-trace-id"]
    (span,) = spans.get_finished_spans()
    assert span.parent is None
    assert trace_of(span) == shown != TRACE


async def test_foreign_baggage_is_dropped_and_tracestate_bounded(
    caller: aiohttp.ClientSession, spans: InMemorySpanExporter
) -> None:
    headers = {
        **bearer(),
        "traceparent": SAMPLED,
        "tracestate": ",".join(f"k{n}=v" for n in range(32)),
        "baggage": "role=admin",
    }
    async with caller.get("/v1/orders/7", headers=headers) as response:
        answer = await response.json()
    assert answer["baggage"] == {}
    assert 0 < answer["tracestate"] <= 8
    assert spans.get_finished_spans()


async def test_only_a_token_marks_what_is_synthetic_and_the_mark_goes_on_in_baggage(
    caller: aiohttp.ClientSession, spans: InMemorySpanExporter
) -> None:
    seen = []
    for scopes in (["orders:read", "synthetic"], ["orders:read"]):
        token = SIGNER.mint("alice", scopes, 60).token
        headers = {"Authorization": f"Bearer {token}", "baggage": "weft.synthetic=true"}
        async with caller.get("/v1/orders/7", headers=headers) as response:
            seen.append((await response.json())["baggage"])
    assert seen == [{"weft.synthetic": "true"}, {}]
    marks = [(span.attributes or {}).get("weft.synthetic") for span in spans.get_finished_spans()]
    assert marks == [True, None, True, None, None, None]


async def test_a_request_goes_through_the_door_as_it_is(caller: aiohttp.ClientSession) -> None:
    headers = {**bearer(), "x-request-id": "r-1"}
    async with caller.get("/v1/orders/a%20b?x=%26&y", headers=headers) as response:
        answer = await response.json()
    assert answer["order_id"] == "a b"
    assert answer["query"] == "x=%26&y"
    assert answer["subject"] == "alice"
    assert answer["request_id"] == "r-1"


async def test_a_body_goes_through_and_chosen_headers_come_back(
    caller: aiohttp.ClientSession,
) -> None:
    headers = {**bearer(), "Idempotency-Key": "k1"}
    async with caller.post("/v1/orders", json={"a": 1}, headers=headers) as response:
        assert response.status == 202
        assert await response.json() == {"a": 1}
        assert response.headers["Location"] == "/v1/orders/k1"
        assert "X-Inner" not in response.headers


async def test_a_problem_behind_the_door_comes_through(caller: aiohttp.ClientSession) -> None:
    headers = {**bearer(), "Idempotency-Key": "k1"}
    async with caller.post("/v1/orders", json={"a": "b"}, headers=headers) as response:
        assert response.status == 422
        assert response.content_type == "application/problem+json"
        assert (await response.json(content_type=None))["detail"]


async def test_a_service_that_is_away_is_a_503_at_the_door(
    caller: aiohttp.ClientSession, inner: HttpServer
) -> None:
    await inner.stop()
    async with caller.get("/v1/orders/7", headers=bearer()) as response:
        assert response.status == 503
        assert response.content_type == "application/problem+json"
        assert response.headers["Retry-After"] == "1"


async def test_keys_are_read_from_a_url() -> None:
    asked: list[str] = []
    routes = Routes()

    @routes.get("/.well-known/jwks.json", public=True)
    async def keys(request: Request) -> dict[str, Any]:
        asked.append(request.request_id)
        return SIGNER.jwks()

    server = HttpServer("gateway", routes, port=0)
    await server.start()
    server.open()
    authenticator = Authenticator(f"http://127.0.0.1:{server.port}/.well-known/jwks.json")
    for name in ("alice", "bob"):
        token = SIGNER.mint(name, [], 60).token
        identity = await authenticator.identify({"authorization": f"Bearer {token}"})
        assert identity is not None
        assert identity.subject == name
    assert len(asked) == 1
    await server.stop()
