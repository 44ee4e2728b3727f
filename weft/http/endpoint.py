"""One route as it is served: everything that can be prepared is, at registration."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp.web import BaseRequest, Response, StreamResponse

from weft.errors import Unavailable
from weft.http.answer import problem_of, render, render_problem
from weft.http.body import check_content_type, decode
from weft.http.front import Front
from weft.http.problem import Problem
from weft.http.request import Request
from weft.http.routes import Route
from weft.http.stream import BrokenOff, CallerLeft, Streamed
from weft.http.websocket import Upgrade, Upgraded
from weft.ids import uuid7
from weft.telemetry import get_logger, record
from weft.telemetry.calls import ServerCall
from weft.telemetry.synthetic import ATTRIBUTE, SYNTHETIC, is_synthetic, mark_synthetic

CLIENT_LEFT = 499
"""The status in telemetry where the caller did not wait for one. Not an error."""

log = get_logger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))

Refusal = Problem | Unavailable
Call = Callable[[Request], Awaitable[Any]]


class Endpoint:
    """A route behind its server's front."""

    def __init__(self, route: Route, front: Front) -> None:
        self._route = route
        self._front = front
        self._call = _prepared(route)

    async def serve(
        self, http: BaseRequest, target: str, values: Mapping[str, str]
    ) -> StreamResponse:
        """Answer one request; `target` is path and query, `values` those of the {names}."""
        response = await self._serve(http, target, values)
        if isinstance(response, Upgraded):
            await self._run(response)
        return response

    async def _run(self, socket: Upgraded) -> None:
        """Serve a WebSocket: its request has ended, so nobody waits for it to be answered."""
        try:
            await socket.run(self._front.sockets)
        except Exception as error:
            log.exception("WebSocket failed", error, **{"http.route": self._route.path})

    async def _serve(
        self, http: BaseRequest, target: str, values: Mapping[str, str]
    ) -> StreamResponse:
        front = self._front
        front.enter()
        try:
            identity, refusal = await front.identify(self._route, http.headers)
            call = record.http_server(
                http.method if http.method in _METHODS else "_OTHER",
                target.partition("?")[0],
                port=front.port,
                headers=front.carrier(http.headers, identity),
                client=http.remote,
                traced=not (self._route.probe or self._route.quiet),
                trusted=not front.edge,
            )
            call.route = self._route.path
            request = Request(
                http,
                path=values,
                target=target,
                identity=identity,
                request_id=_request_id(http.headers),
                facts=call,
            )
            return await self._answer(request, call, refusal)
        finally:
            front.leave()

    async def _answer(
        self, request: Request, call: ServerCall, refusal: Refusal | None
    ) -> StreamResponse:
        error: Exception | None = None
        call.set("weft.request.id", request.request_id)
        call.set("user.id", request.subject or None)
        if SYNTHETIC in request.scopes:
            mark_synthetic()
        if is_synthetic():
            call.set(ATTRIBUTE, True)
        try:
            response = await self._respond(request, refusal)
            if isinstance(response, Streamed):
                return await self._stream(response, request, call)
        except asyncio.CancelledError:
            call.status = CLIENT_LEFT
            call.end()
            raise
        except Exception as caught:  # noqa: BLE001 - every error becomes an answer
            response, error = _explained(request, caught)
        call.status = response.status
        call.request_bytes = len(request.raw)
        call.response_bytes = response.content_length or response.body_length
        if not response.prepared:
            self._sign(response, request)
        call.end(error)
        return response

    async def _stream(
        self, response: Streamed, request: Request, call: ServerCall
    ) -> StreamResponse:
        """Send the body, within the call: how it went is told at its end."""
        self._sign(response, request)
        call.status, error = response.status, None
        try:
            await response.send(request.http)
        except CallerLeft:
            call.status = CLIENT_LEFT
        except BrokenOff as broken:
            error = broken.__cause__
        call.request_bytes = len(request.raw)
        call.response_bytes = response.sent
        call.end(error)
        return response

    def _sign(self, response: StreamResponse, request: Request) -> None:
        response.headers["Server"] = "weft"
        response.headers["x-request-id"] = request.request_id
        response.headers["x-trace-id"] = request.trace_id
        if self._front.is_draining:
            response.force_close()

    async def _respond(self, request: Request, refusal: Refusal | None) -> StreamResponse:
        self._front.admit(self._route, request.headers)
        if refusal is not None:
            raise refusal
        answer = await self._call(request)
        if isinstance(answer, Upgrade):
            return await self._upgraded(answer, request)
        return render(answer, self._route.status)

    async def _upgraded(self, upgrade: Upgrade, request: Request) -> Upgraded:
        response = Upgraded(upgrade, self._route.path)
        self._sign(response, request)
        try:
            self._front.admit_socket()
            await response.begin(request.http)
        except BaseException:
            await response.give_up()
            raise
        return response


def _prepared(route: Route) -> Call:
    """Return the handler as a function of the request alone."""
    handler = route.handler
    if route.body is None and route.query is None:
        return handler
    decoder = None if route.body is None else msgspec.json.Decoder(route.body)

    async def call(request: Request) -> Any:
        given: dict[str, Any] = {}
        if route.query is not None:
            given["query"] = request.query(route.query)
        if decoder is None:
            return await handler(request, **given)
        check_content_type(request.headers.get("content-type"))
        return await handler(request, decode(decoder, await request.read()), **given)

    return call


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get("x-request-id")
    return given if given and _REQUEST_ID.fullmatch(given) else uuid7()


def _explained(request: Request, error: Exception) -> tuple[StreamResponse, Exception | None]:
    """Return the answer to `error`, and the error itself if nobody foresaw it."""
    if isinstance(error, ConnectionError) and request.http.transport is None:
        return Response(status=CLIENT_LEFT), None
    problem = problem_of(error)
    if problem is not None:
        return render_problem(problem), None
    return render_problem(Problem(500)), error
