"""What strangers send: every answer is a problem below 500, and the server goes on."""

import asyncio
import gzip
import random
from collections.abc import AsyncIterator

import msgspec
import pytest

from weft.http import HttpServer, Request, Routes
from weft.http import incoming as incoming_module

MIB = 1 << 20


class Placement(msgspec.Struct):
    items: list[int]


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    routes = Routes()

    @routes.post("/v1/orders", public=True)
    async def place(_: Request, body: Placement) -> int:
        return len(body.items)

    @routes.get("/v1/orders/{order_id}", public=True)
    async def show(request: Request) -> str:
        return request.path["order_id"]

    server = HttpServer("shop", routes, port=0, edge=True)
    await server.start()
    server.open()
    yield server
    await server.stop()


async def ask(server: HttpServer, request: bytes, *, seconds: float = 60.0) -> tuple[int, bytes]:
    """Send bytes on a connection of their own; return the answer's status and all of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        async with asyncio.timeout(seconds):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return int(head.split(b" ")[1]), head + await reader.readexactly(length)
    finally:
        writer.close()


def post(body: bytes, *headers: bytes) -> bytes:
    lines = [
        b"POST /v1/orders HTTP/1.1",
        b"Host: x",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def items(length: int) -> bytes:
    """A good body of exactly `length` bytes."""
    return b'{"items": [1]%s}' % (b" " * (length - 14))


async def test_a_body_of_just_a_mebibyte_is_taken(server: HttpServer) -> None:
    assert (await ask(server, post(items(MIB))))[0] == 200


async def test_a_larger_body_is_a_413(server: HttpServer) -> None:
    status, answer = await ask(server, post(items(MIB + 1)))
    assert status == 413
    assert b"application/problem+json" in answer


async def test_a_larger_body_that_does_not_tell_its_length_is_a_413(server: HttpServer) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    request = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 17 + b"0\r\n\r\n"
    assert (await ask(server, request))[0] == 413


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"gzip, gzip", b"nonsense"])
async def test_a_compressed_body_is_a_415(server: HttpServer, encoding: bytes) -> None:
    bomb = gzip.compress(b" " * (10 * MIB))
    assert (await ask(server, post(bomb, b"Content-Encoding: " + encoding)))[0] == 415


async def test_a_body_that_does_not_arrive_is_a_408(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming_module, "READ_DEADLINE", 0.1)
    assert (await ask(server, post(b'{"items": [1]}')[:-3]))[0] == 408


async def test_a_caller_may_wait_for_leave_to_send(server: HttpServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    body = b'{"items": [1]}'
    writer.write(post(body, b"Expect: 100-continue").removesuffix(body))
    async with asyncio.timeout(60):
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(body)
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def test_who_waits_for_leave_to_send_too_much_gets_none(server: HttpServer) -> None:
    headers = b"Content-Type: application/json\r\nContent-Length: 9999999\r\nExpect: 100-continue"
    request = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n"
    assert (await ask(server, request))[0] == 413


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /v1/orders/%FF HTTP/1.1", 400),
        (b"GET /v1/orders/%00 HTTP/1.1", 404),
        (b"GET /v1/orders/..%2f..%2fetc HTTP/1.1", 404),
        (b"GET /v1/orders/.. HTTP/1.1", 404),
        (b"GET //v1//orders HTTP/1.1", 404),
        (b"GET http://other/v1/orders/7 HTTP/1.1", 200),
        (b"GET /v1/orders/7?%ff=%00&%zz HTTP/1.1", 200),
        (b"GET /v1/orders/\xff HTTP/1.1", 400),
        (b"GET http://[ HTTP/1.1", 400),
        (b"OPTIONS * HTTP/1.1", 404),
        (b"CONNECT other:443 HTTP/1.1", 404),
        (b"TRACE /v1/orders HTTP/1.1", 405),
        (b"BREW /v1/orders HTTP/1.1", 400),
        (b"GET /" + b"a" * 10000 + b" HTTP/1.1", 431),
        (b"GET / HTTP/9.9", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ],
)
async def test_an_odd_request_line_is_answered(
    server: HttpServer, request_line: bytes, status: int
) -> None:
    answered, answer = await ask(server, request_line + b"\r\nHost: x\r\n\r\n")
    assert answered == status
    assert status == 200 or b"application/problem+json" in answer
    assert b"x-trace-id: " in answer.lower()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"User-Agent: \xff\xfe", 400),
        (b"Idempotency-Key: \xc3\xa4", 200),
        (b"Authorization: Bearer \xff", 400),
        (b"X-Request-Id: \xff", 400),
        (b"traceparent: nonsense", 200),
        (b"traceparent: 00-ffffffffffffffffffffffffffffffff-0000000000000000-01", 200),
        (b"tracestate: " + b"a=b," * 2000, 200),
        (b"baggage: \x7f=;;;,,,%%%", 400),
        (b"Content-Length: -1", 400),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        (b"Cookie: " + b"a" * 9000, 431),
        (b"\r\n".join(b"X-%d: 1" % n for n in range(200)), 431),
        (b"Expect: a miracle", 200),
        (b"Upgrade: websocket\r\nConnection: upgrade", 200),
    ],
)
async def test_an_odd_header_is_answered(server: HttpServer, header: bytes, status: int) -> None:
    request = b"GET /v1/orders/7 HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n"
    assert (await ask(server, request))[0] == status


async def test_random_bytes_never_make_a_500(server: HttpServer) -> None:
    chance = random.Random(7)
    pieces = [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"\\u0000",
        b"9" * 20,
        b",",
        b":",
        b"\xff",
        b"1e999",
    ]
    for _ in range(200):
        body = b"".join(chance.choices(pieces, k=chance.randrange(1, 60)))
        status, _answer = await ask(server, post(body))
        assert status in (200, 400, 422)
    assert (await ask(server, post(b'{"items": []}')))[0] == 200
