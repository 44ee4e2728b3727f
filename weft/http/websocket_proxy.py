"""A reverse proxy's step for WebSockets: what the service behind sends goes to our caller."""

import asyncio
from collections.abc import Mapping
from typing import Final

import aiohttp

from weft.http.client import HttpClient
from weft.http.problem import Problem, busy
from weft.http.request import Request
from weft.http.websocket import Upgrade, WebSocket, text_frame, upgrade_required

SLOW_SECONDS: Final = 10.0
"""How long a caller may take for what waits in front of him."""
TOO_SLOW: Final = 4408
RESTART: Final = 1012
"""Sent where the service behind has gone without a word: connect again."""

_SERVER_ERROR: Final = 500
_NEVER_SENT: Final = frozenset((None, 1005, 1006, 1015))


async def forward_websocket(
    request: Request, client: HttpClient, template: str, *, headers: Mapping[str, str]
) -> Upgrade:
    """Connect to the service behind with the caller's query and `headers`, then upgrade the caller.

    Messages go to the caller alone: what he says is dropped. Raises Problem if the service behind
    refuses, Unavailable if it is away.
    """
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise upgrade_required()
    try:
        behind = await client.websocket(template, query=request.query_string, headers=headers)
    except aiohttp.WSServerHandshakeError as error:
        if error.status >= _SERVER_ERROR:
            raise busy(f"{client.name} does not answer at the moment.") from None
        raise Problem(error.status) from None

    async def relay(socket: WebSocket) -> None:
        await _relay(behind, socket)

    return Upgrade(relay, behind.close)


async def _relay(behind: aiohttp.ClientWebSocketResponse, socket: WebSocket) -> None:
    leaving = asyncio.create_task(_until_left(socket))
    passing = asyncio.create_task(_pass_on(behind, socket))
    try:
        await asyncio.wait({leaving, passing}, return_when=asyncio.FIRST_COMPLETED)
        if passing.done():
            await socket.close(*passing.result())
    finally:
        for task in (leaving, passing):
            task.cancel()
        await asyncio.gather(leaving, passing, return_exceptions=True)
        await behind.close()


async def _until_left(socket: WebSocket) -> None:
    while await socket.receive() is not None:
        pass


async def _pass_on(behind: aiohttp.ClientWebSocketResponse, socket: WebSocket) -> tuple[int, str]:
    """Return the close code for the caller, and why."""
    async for message in behind:
        if message.type is aiohttp.WSMsgType.TEXT:
            frame = text_frame(message.data.encode())
            if not socket.offer(frame) and not await _caught_up(socket, frame):
                return TOO_SLOW, "You read too slowly."
    code = behind.close_code
    return (RESTART, "Connect again.") if code is None or code in _NEVER_SENT else (code, "")


async def _caught_up(socket: WebSocket, frame: bytes) -> bool:
    return await socket.flushed(SLOW_SECONDS) and socket.offer(frame)
