"""Bodies that are handed on piece by piece: memory does not grow with them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from aiohttp.web import BaseRequest, StreamResponse

from weft.errors import Unavailable

STALL: Final = 30.0
"""Seconds that the next piece may take to come, and each SLICE of it to go."""
SLICE: Final = 64 * 1024
"""Bytes that are sent at once: who takes 2 KiB a second is served."""


class Stream:
    """A body of `size` bytes (None: not known) in pieces, each of which its maker bounds.

    Whoever has it closes it: once it was sent, or when it will not be.
    """

    __slots__ = ("_closing", "_pieces", "size")

    def __init__(self, pieces: AsyncIterator[bytes], *, size: int | None = None) -> None:
        self.size = size
        self._pieces = pieces
        self._closing: list[Callable[[], None]] = []

    def on_close(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when this is closed."""
        self._closing.append(tell)

    async def next(self) -> bytes:
        """Return the next piece, b"" at the end. Raises Unavailable, and what its maker raises."""
        try:
            async with asyncio.timeout(STALL):
                return await anext(self._pieces, b"")
        except TimeoutError:
            raise Unavailable("source", f"nothing came for {STALL:g} s") from None

    def close(self) -> None:
        """Let go of what the pieces come from."""
        closing, self._closing = self._closing, []
        for tell in closing:
            tell()


class CallerLeft(Exception):
    """Who asked is gone, or takes nothing any more: there is nobody to be told."""


class BrokenOff(Exception):
    """The body's source failed after the head was sent; its cause is why."""


class Streamed(StreamResponse):
    """The answer whose body is a Stream. `sent` counts the bytes of the body."""

    def __init__(self, stream: Stream, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(status=status, headers=headers)
        self.content_length = stream.size
        self.sent = 0
        self._stream = stream

    async def send(self, http: BaseRequest) -> None:
        """Send head and body, no faster than the caller takes them.

        Raises what the source raises before its first piece, so that there still is another answer;
        then BrokenOff and CallerLeft. Then the connection is cut: the caller sees that it is not
        whole.
        """
        try:
            await self._send(http)
        except (BrokenOff, CallerLeft):
            if http.transport is not None:
                http.transport.abort()
            raise
        finally:
            self._stream.close()

    async def _send(self, http: BaseRequest) -> None:
        piece = b"" if http.method == "HEAD" else await self._stream.next()
        await _taken(self.prepare(http))
        while piece:
            for start in range(0, len(piece), SLICE):
                part = piece[start : start + SLICE]
                await _taken(self.write(part))
                self.sent += len(part)
            try:
                piece = await self._stream.next()
            except Exception as error:
                raise BrokenOff from error
        await _taken(self.write_eof())


async def _taken(writing: Awaitable[object]) -> None:
    try:
        async with asyncio.timeout(STALL):
            await writing
    except (ConnectionError, TimeoutError) as error:
        raise CallerLeft from error
