"""WebSockets of the chassis' server, against a client that does what clients do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from weft.http import HttpServer, Request, Routes, Upgrade, WebSocket, text_frame
from weft.http.websocket import MAX_MESSAGE


class Rooms:
    """A server whose sockets echo, and remember how they ended."""

    def __init__(self) -> None:
        self.ended: list[WebSocket] = []
        self.opened = asyncio.Event()
        routes = Routes()
        routes.raw("GET", "/echo", self._echo, public=True)
        routes.raw("GET", "/say/{size}", self._say, public=True)
        routes.raw("GET", "/no", self._refuse, public=True)
        routes.raw("GET", "/broken", self._broken, public=True)
        self.server = HttpServer("rooms", routes, port=0, drain_timeout=0.5)

    async def _echo(self, _: Request) -> Upgrade:
        async def echo(socket: WebSocket) -> None:
            self.opened.set()
            try:
                while (said := await socket.receive()) is not None:
                    text = said.encode() if isinstance(said, str) else said
                    assert socket.offer(text_frame(text))
                    assert await socket.flushed(10)
            finally:
                self.ended.append(socket)

        return Upgrade(echo)

    async def _say(self, request: Request) -> Upgrade:
        frame = text_frame(b"x" * int(request.path["size"]))

        async def say(socket: WebSocket) -> None:
            assert socket.offer(frame)

        return Upgrade(say)

    async def _refuse(self, _: Request) -> Upgrade:
        return Upgrade.refused(4401, "not you")

    async def _broken(self, _: Request) -> Upgrade:
        async def fail(_: WebSocket) -> None:
            raise ValueError("on purpose")

        return Upgrade(fail)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


@pytest.fixture
async def rooms() -> AsyncIterator[Rooms]:
    made = Rooms()
    await made.server.start()
    made.server.open()
    yield made
    await made.server.stop()


@asynccontextmanager
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
async def test_a_frame_of_any_size_is_one_text_message(rooms: Rooms, size: int) -> None:
    async with client() as session, session.ws_connect(f"{rooms.url}/say/{size}") as opened:
        assert await opened.receive_str(timeout=10) == "x" * size


async def test_text_goes_both_ways_and_the_answer_has_the_ids_of_its_request(rooms: Rooms) -> None:
    async with client() as session, session.ws_connect(f"{rooms.url}/echo") as opened:
        assert len(opened._response.headers["x-trace-id"]) == 32
        for text in ("", "ä", "x" * 60_000):
            await opened.send_str(text)
            assert await opened.receive_str(timeout=10) == text


async def test_a_refused_caller_sees_the_code_and_why(rooms: Rooms) -> None:
    async with client() as session, session.ws_connect(f"{rooms.url}/no") as opened:
        message = await opened.receive(10)
        assert (message.data, message.extra) == (4401, "not you")


async def test_a_failing_socket_is_closed_and_the_server_goes_on(rooms: Rooms) -> None:
    async with client() as session:
        async with session.ws_connect(f"{rooms.url}/broken") as opened:
            await opened.receive(10)
            assert opened.closed
        async with session.ws_connect(f"{rooms.url}/echo") as opened:
            await opened.send_str("still")
            assert await opened.receive_str(timeout=10) == "still"


async def test_a_message_beyond_the_bound_ends_the_socket(rooms: Rooms) -> None:
    async with client() as session, session.ws_connect(f"{rooms.url}/echo") as opened:
        await opened.send_str("x" * (MAX_MESSAGE + 1))
        message = await opened.receive(10)
        assert message.data == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_a_plain_request_is_told_that_only_a_websocket_can_be_had(rooms: Rooms) -> None:
    async with client() as session, session.get(f"{rooms.url}/echo") as response:
        assert response.status == 426
        assert response.headers["Upgrade"] == "websocket"
        assert (await response.json())["status"] == 426


async def test_a_socket_holds_up_no_stop_and_is_told_of_it(rooms: Rooms) -> None:
    async with client() as session, session.ws_connect(f"{rooms.url}/echo") as opened:
        await rooms.opened.wait()
        stopping = asyncio.create_task(rooms.server.stop())
        assert (await opened.receive(10)).data == 1001
        await stopping
    assert len(rooms.ended) == 1
    assert not rooms.ended[0].is_open


async def test_a_socket_whose_client_vanished_ends(rooms: Rooms) -> None:
    async with client() as session:
        opened = await session.ws_connect(f"{rooms.url}/echo")
        await rooms.opened.wait()
        connection = opened._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        async with asyncio.timeout(10):
            while not rooms.ended:  # noqa: ASYNC110 - the server tells nobody else
                await asyncio.sleep(0.01)
        assert rooms.ended[0].offer(text_frame(b"to nobody"))
