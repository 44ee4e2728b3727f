"""Bodies in pieces, through a proxy: no faster than they are taken, and never half for whole."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from weft.errors import Unavailable
from weft.http import (
    HttpClient,
    HttpServer,
    Problem,
    Reply,
    Request,
    Routes,
    Stream,
    forward_stream,
)

PIECE = bytes(range(256)) * 1024
DEADLINE = 30.0

Source = Callable[["Behind"], AsyncIterator[bytes]]


class Behind:
    """A service that streams `source`, and the proxy in front of it."""

    def __init__(self, source: Source, size: int | None) -> None:
        self.made = 0
        self.closed = asyncio.Event()
        self.left = asyncio.Event()
        self._source, self._size = source, size
        behind, front = Routes(), Routes()
        behind.raw("GET", "/file", self._file, public=True)
        front.raw("GET", "/file", self._hand_on, public=True)
        self._behind = HttpServer("behind", behind, port=0, drain_timeout=0.1)
        self._front = HttpServer("front", front, port=0, drain_timeout=0.1)

    async def _file(self, _: Request) -> Reply[Stream]:
        stream = Stream(self._source(self), size=self._size)
        stream.on_close(self.closed.set)
        return Reply(stream, headers={"ETag": '"1"'}, content_type="text/csv")

    async def _hand_on(self, request: Request) -> Reply[Stream]:
        reply = await forward_stream(request, self._client, "/file")
        assert isinstance(reply.body, Stream)
        reply.body.on_close(self.left.set)
        return reply

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._front.port}/file"

    @classmethod
    @asynccontextmanager
    async def running(cls, source: Source, size: int | None = None) -> AsyncIterator["Behind"]:
        one = cls(source, size)
        await one._behind.start()
        one._client = HttpClient(f"http://127.0.0.1:{one._behind.port}", name="behind")
        await one._client.start()
        await one._front.start()
        one._behind.open()
        one._front.open()
        yield one
        await one._front.stop()
        await one._client.stop()
        await one._behind.stop()

    _client: HttpClient


async def pieces(behind: Behind, count: int = 40) -> AsyncIterator[bytes]:
    for _ in range(count):
        behind.made += len(PIECE)
        yield PIECE


async def endless(behind: Behind) -> AsyncIterator[bytes]:
    async for piece in pieces(behind, 1 << 30):
        yield piece


async def broken(behind: Behind) -> AsyncIterator[bytes]:
    async for piece in pieces(behind, 3):
        yield piece
    raise Unavailable("store", "gone")


async def never() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def away(_: Behind) -> AsyncIterator[bytes]:
    raise Unavailable("store", "away")
    yield b""


@pytest.mark.parametrize("size", [40 * len(PIECE), None])
async def test_a_body_arrives_whole_with_its_headers(size: int | None) -> None:
    async with Behind.running(pieces, size) as behind, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(behind.url) as answer:
                assert (answer.status, answer.content_length) == (200, size)
                assert answer.headers["ETag"] == '"1"'
                assert answer.headers["Content-Type"] == "text/csv"
                assert len(answer.headers["x-trace-id"]) == 32
                body = await answer.read()
        assert hashlib.sha256(body).digest() == hashlib.sha256(PIECE * 40).digest()
        async with session.head(behind.url) as answer:
            assert (answer.status, await answer.read()) == (200, b"")


async def test_nothing_is_read_ahead_of_the_caller_and_who_leaves_ends_the_reading(
    spans: InMemorySpanExporter,
) -> None:
    async with Behind.running(endless) as behind:
        async with aiohttp.ClientSession() as session, session.get(behind.url) as answer:
            await answer.content.readexactly(len(PIECE))
            answer.close()
        for event in (behind.left, behind.closed):
            await asyncio.wait_for(event.wait(), DEADLINE)
        # what the sockets of two hops hold, and the buffers of two processes
        assert behind.made < 128 << 20
    failed = [
        span for span in spans.get_finished_spans() if "error.type" in (span.attributes or {})
    ]
    assert not failed


async def test_a_caller_who_takes_nothing_gets_no_more_than_the_sockets_hold() -> None:
    async with (
        Behind.running(endless) as behind,
        aiohttp.ClientSession() as session,
        session.get(behind.url),
    ):
        made = -1
        while made != behind.made:  # until nothing has come for a while
            made = behind.made
            await asyncio.sleep(0.3)
        assert 0 < made < 128 << 20


async def test_a_body_that_breaks_off_is_never_a_whole_one(spans: InMemorySpanExporter) -> None:
    async with Behind.running(broken) as behind, aiohttp.ClientSession() as session:
        async with session.get(behind.url) as answer:
            assert answer.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        await asyncio.wait_for(behind.left.wait(), DEADLINE)
    told = {
        (span.kind.name, (span.attributes or {}).get("error.type"))
        for span in spans.get_finished_spans()
        if span.name == "GET /file"
    }
    assert told == {("SERVER", "Unavailable"), ("CLIENT", "Unavailable")}


async def test_a_source_that_is_away_from_the_start_is_a_503(spans: InMemorySpanExporter) -> None:
    async with (
        Behind.running(away) as behind,
        aiohttp.ClientSession() as session,
        session.get(behind.url) as answer,
    ):
        assert answer.status == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Retry-After"] == "1"
    assert spans.get_finished_spans()


async def test_a_source_that_hangs_is_a_503_and_not_a_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("weft.http.stream.STALL", 0.1)
    hangs = Stream(never())
    with pytest.raises(Unavailable, match="nothing came for"):
        await hangs.next()


async def test_what_is_no_success_is_handed_on_whole() -> None:
    async def refused(_: Behind) -> AsyncIterator[bytes]:
        raise Problem(404, detail="There is no such file.")
        yield b""

    async with (
        Behind.running(refused) as behind,
        aiohttp.ClientSession() as session,
        session.get(behind.url) as answer,
    ):
        assert answer.status == 404
        assert (await answer.json(content_type=None))["detail"] == "There is no such file."
