"""WebSockets (RFC 6455): a handler answers with an Upgrade, and its server span ends there."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import WSMsgType
from aiohttp.web import BaseRequest, WebSocketResponse

from weft.http.problem import Problem
from weft.telemetry import up_down_counter

HEARTBEAT: Final = 20.0
"""Seconds between two pings; who does not answer within half of it is gone."""
MAX_MESSAGE: Final = 64 * 1024
"""Bytes of a message that comes in."""
MAX_WAITING: Final = 64 * 1024
"""Bytes that may wait for a client that reads too slowly."""
CLOSE_SECONDS: Final = 2.0
"""How long the other side's farewell is waited for."""

GOING_AWAY: Final = 1001

_TEXT: Final = 0x81
_SHORT: Final = 125
_MEDIUM: Final = 0xFFFF

_open = up_down_counter("weft.http.websockets", "{socket}", "Open WebSockets, by route.")


def text_frame(text: bytes) -> bytes:
    """Return a whole text message as a server sends it, so that many sockets may share it."""
    size = len(text)
    if size <= _SHORT:
        return bytes((_TEXT, size)) + text
    if size <= _MEDIUM:
        return bytes((_TEXT, 126)) + size.to_bytes(2) + text
    return bytes((_TEXT, 127)) + size.to_bytes(8) + text


def upgrade_required() -> Problem:
    """Return the answer to who did not ask for a WebSocket."""
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    return Problem(426, detail="Only a WebSocket can be had here.", headers=headers)


class WebSocket:
    """An open connection: text out, text or bytes in."""

    __slots__ = ("_drain", "_http", "_response")

    def __init__(
        self, response: WebSocketResponse, http: BaseRequest, drain: Callable[[], Awaitable[None]]
    ) -> None:
        self._response = response
        self._http = http
        self._drain = drain

    @property
    def is_open(self) -> bool:
        """Whether what is sent now may arrive."""
        transport = self._http.transport
        return not self._response.closed and transport is not None and not transport.is_closing()

    def offer(self, frame: bytes) -> bool:
        """Send a frame (see `text_frame`) without waiting; False if the client is too far behind.

        A socket that is closed takes everything, to no effect.
        """
        transport = self._http.transport
        if transport is None or self._response.closed or transport.is_closing():
            return True
        if transport.get_write_buffer_size() > MAX_WAITING:
            return False
        transport.write(frame)
        return True

    async def flushed(self, within: float) -> bool:
        """Wait until the client has taken most of what was sent; False after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._drain()
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True

    async def receive(self) -> str | bytes | None:
        """Return the next message, None when there will be none."""
        while True:
            message = await self._response.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                data: str | bytes = message.data
                return data
            if message.type not in (WSMsgType.PING, WSMsgType.PONG):
                return None

    async def close(self, code: int, reason: str = "") -> None:
        """Say why (at most 123 bytes) and close; a client that does not take it is cut off."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(2 * CLOSE_SECONDS):
                await self._response.close(code=code, message=reason.encode(), drain=False)
        transport = self._http.transport
        if transport is not None and transport.get_write_buffer_size() > 0:
            transport.abort()


Serve = Callable[[WebSocket], Awaitable[None]]


class Upgrade:
    """A handler's answer: the connection becomes a WebSocket, and `serve` has it until it returns.

    Then it is closed, with 1000 unless `serve` has said why.
    """

    def __init__(
        self, serve: Serve, given_up: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self.serve = serve
        self.given_up = given_up
        """Called instead of `serve` where the caller cannot be upgraded."""

    @classmethod
    def refused(cls, code: int, reason: str) -> "Upgrade":
        """Open and close at once: a browser's script sees a close code, but no HTTP status."""

        async def close(socket: WebSocket) -> None:
            await socket.close(code, reason)

        return cls(close)


class Upgraded(WebSocketResponse):
    """The answer 101, and what follows it."""

    def __init__(self, upgrade: Upgrade, route: str) -> None:
        # Compression would cost a quarter of a mebibyte for each socket.
        super().__init__(
            timeout=CLOSE_SECONDS, heartbeat=HEARTBEAT, compress=False, max_msg_size=MAX_MESSAGE
        )
        self._upgrade = upgrade
        self._route = route
        self._socket: WebSocket | None = None

    async def begin(self, http: BaseRequest) -> None:
        """Send 101; raise Problem 426 if the caller did not ask for a WebSocket."""
        if not self.can_prepare(http):
            raise upgrade_required()
        writer = await self.prepare(http)
        self._socket = WebSocket(self, http, writer.drain)

    async def give_up(self) -> None:
        """Say that there will be no socket."""
        if self._upgrade.given_up is not None:
            await self._upgrade.given_up()

    async def run(self, sockets: set[WebSocket]) -> None:
        """Serve the socket, which is among `sockets` meanwhile, to its end."""
        socket = self._socket
        if socket is None:
            raise RuntimeError("the socket has not begun")
        labels = {"http.route": self._route}
        sockets.add(socket)
        _open.add(1, labels)
        try:
            await self._upgrade.serve(socket)
        finally:
            _open.add(-1, labels)
            sockets.discard(socket)
            await socket.close(1000)
