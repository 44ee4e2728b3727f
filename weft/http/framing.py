"""Connections whose bytes are no HTTP request: these too are answered with a problem."""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress

from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web import BaseRequest, RequestHandler, Server, StreamResponse

from weft.http.answer import render_problem
from weft.http.problem import Problem
from weft.ids import uuid7

_NO_TRACE = "0" * 32
_SERVER_ERROR = 500
_TOO_MANY = "Too many headers received"
"""What aiohttp's parser says; it has no type of its own for this."""


class Listener(Server):
    """Makes the connections, and looks after those that came just before a stop."""

    async def adopt(self, accepted: Iterable[socket.socket]) -> None:
        """Serve connections that were accepted elsewhere."""
        for each in accepted:
            await self._loop.connect_accepted_socket(self, each)

    async def heard(self, within: float) -> None:
        """Wait until every connection has sent a request, at most `within` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while any(map(_is_silent, self.connections)):  # noqa: ASYNC110 - aiohttp tells nobody
                    await asyncio.sleep(0.005)

    def __call__(self) -> RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    __slots__ = ()

    @property
    def is_silent(self) -> bool:
        """Whether no request has come yet."""
        return self._request_count == 0

    def handle_error(
        self,
        request: BaseRequest,
        status: int = _SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """Answer what never became a request; a caller's mistake is not logged."""
        if status >= _SERVER_ERROR:
            super().handle_error(request, status, exc, message)
            response = render_problem(Problem(status))
        else:
            response = render_problem(_refusal(status, exc))
        response.headers["Server"] = "weft"
        response.headers["x-request-id"] = uuid7()
        response.headers["x-trace-id"] = _NO_TRACE
        response.force_close()
        return response


def _refusal(status: int, error: BaseException | None) -> Problem:
    if isinstance(error, LineTooLong) or (
        isinstance(error, BadHttpMessage) and error.message == _TOO_MANY
    ):
        return Problem(
            431, detail="The request line or a header is too long, or there are too many."
        )
    return Problem(status, detail="This is no HTTP request.")


def _is_silent(connection: RequestHandler) -> bool:
    return isinstance(connection, _Connection) and connection.is_silent
