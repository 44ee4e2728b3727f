"""The HTTP client of a service: deadlines, retries within a budget, circuits, several addresses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from weft.errors import Unavailable
from weft.http.breaker import BreakerPolicy
from weft.http.peer import Peer, Peers
from weft.http.retry import RetryBudget, pause_before
from weft.http.stream import Stream
from weft.http.target import Query, target_of
from weft.telemetry import counter, record
from weft.telemetry.calls import ClientCall

T = TypeVar("T")

MAX_RESPONSE = 1 << 20
"""Bytes of an answer's body."""

WEBSOCKET_HEARTBEAT = 20.0
"""Seconds between two pings on a WebSocket."""

SWITCHING_PROTOCOLS = 101

CHECK_DEADLINE = 1.0
"""Seconds for the answer to a check."""

_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
_TRY_AGAIN = frozenset((502, 503, 504))
_REDIRECTION = 300
_SERVER_ERROR = 500

_encode = msgspec.json.Encoder().encode

retries_made = counter("weft.http.client.retries", "{retry}", "Tries after the first, by service.")


class ClientResponse(msgspec.Struct, frozen=True):
    """An answer, whole: `headers` ignore case, `body` is what was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self, into: type[T]) -> T:
        """Return the body as `into`; raise msgspec.DecodeError or UnicodeDecodeError."""
        return msgspec.json.decode(self.body, type=into)


class StreamedResponse(msgspec.Struct, frozen=True):
    """An answer whose `body` is still to come, and has to be closed."""

    status: int
    headers: Mapping[str, str]
    body: Stream


R = TypeVar("R", ClientResponse, StreamedResponse)


class _Call(msgspec.Struct, frozen=True):
    """What is sent, the same in every try. `deadline` is a time of the loop."""

    method: str
    template: str
    target: str
    headers: CIMultiDict[str]
    body: bytes | None
    repeatable: bool
    deadline: float


class _TryFailed(Exception):
    """No answer. `sent` is False if the peer cannot have seen the request."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


class _TooLarge(Exception):
    """The answer's body is beyond the bound."""


class _Body:
    """The body of an answer, as it comes; the span of its call ends with it."""

    def __init__(self, name: str, response: aiohttp.ClientResponse, span: ClientCall) -> None:
        self._name = name
        self._response = response
        self._span = span
        self._error: BaseException | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except (aiohttp.ClientError, OSError) as error:
            self._error = Unavailable(self._name, _failed(error).why)
            raise self._error from None
        except asyncio.CancelledError as error:
            self._error = error
            raise

    def close(self) -> None:
        self._response.close()
        self._span.end(self._error)


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


class HttpClient:
    """Calls the service `name` at one or several base URLs.

    `timeout` bounds a request with all its tries, `try_timeout` each try (seconds). Methods that
    are idempotent, and requests with an Idempotency-Key, are tried again (at most `retries` times,
    within the retry budget) when there is no answer or a 502, 503 or 504; other requests only if
    they cannot have reached the peer. Addresses are asked in turn; what one refuses to connect to
    goes to another at once, which is no retry. A service that calls one that is not `needed` is
    ready without it.
    """

    def __init__(
        self,
        base_url: str | Sequence[str],
        *,
        name: str,
        timeout: float = 5.0,
        try_timeout: float | None = None,
        retries: int = 2,
        connections: int = 100,
        max_response: int = MAX_RESPONSE,
        breaker: BreakerPolicy | None = None,
        needed: bool = True,
    ) -> None:
        urls = [base_url] if isinstance(base_url, str) else base_url
        self.name = name
        self._peers = Peers(name, urls, breaker or BreakerPolicy())
        self._timeout = timeout
        self._try_timeout = try_timeout or timeout
        self._retries = retries
        self._connections = connections
        self._max_response = max_response
        self._needed = needed
        self._budget = RetryBudget()
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make the pool of connections; the peer need not be there yet."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=30.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity", "User-Agent": "weft"},
            timeout=aiohttp.ClientTimeout(total=None),
        )

    def use(self, base_urls: Sequence[str]) -> None:
        """Have these addresses from now on. Raises ValueError if one is none, or there is none."""
        if not base_urls:
            raise ValueError(f"{self.name} has no address")
        self._peers.replace(base_urls)

    async def check(self) -> None:
        """Raise Unavailable unless an address answers on /healthz, or it is not needed."""
        if not self._needed:
            return
        for peer in self._peers:
            try:
                async with (
                    asyncio.timeout(CHECK_DEADLINE),
                    self._open.get(f"{peer.base_url}/healthz") as response,
                ):
                    if response.status < _SERVER_ERROR:
                        return
            except (aiohttp.ClientError, OSError, TimeoutError):
                continue
        raise Unavailable(self.name, "no address answers")

    async def stop(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        template: str,
        *,
        path: Mapping[str, Any] | None = None,
        query: Query | None = None,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the deadline of several tries
    ) -> ClientResponse:
        """Return the answer, whatever its status; raise Unavailable if there is none.

        `template` is the path with its parameters named, `path` their values; `json` is encoded,
        `body` sent as it is.
        """
        sent = CIMultiDict(headers or {})
        if json is not None:
            body = _encode(json)
            sent["Content-Type"] = "application/json"
        repeatable = method in _IDEMPOTENT or "Idempotency-Key" in sent
        return await self._send(
            _Call(
                method,
                template,
                target_of(template, path, query),
                sent,
                body,
                repeatable if idempotent is None else idempotent,
                asyncio.get_running_loop().time() + (timeout or self._timeout),
            ),
            self._exchange,
        )

    async def stream(
        self,
        template: str,
        *,
        path: Mapping[str, Any] | None = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> StreamedResponse:
        """Return the answer to a GET once its head is there; raise Unavailable if there is none.

        Deadlines and tries, as `request` has them, are for the head alone; each piece of the body
        has a deadline of its own (see Stream). Only a success is streamed: what else is answered is
        read at once, within `max_response`. The body's `next` raises Unavailable if it breaks off;
        whoever asked closes it, in the same task.
        """
        until = asyncio.get_running_loop().time() + self._timeout
        sent, target = CIMultiDict(headers or {}), target_of(template, path, query)
        call = _Call("GET", template, target, sent, None, repeatable=True, deadline=until)
        return await self._send(call, self._exchange_head)

    async def websocket(
        self,
        template: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        max_message: int = MAX_RESPONSE,
    ) -> aiohttp.ClientWebSocketResponse:
        """Return an open WebSocket, which the caller closes.

        Raises Unavailable if there is no answer, WSServerHandshakeError for one that is not 101.
        """
        refused: set[Peer] = set()
        while True:
            known = len(refused)
            try:
                return await self._websocket(template, query, headers, max_message, refused)
            except _TryFailed as failed:
                if not known < len(refused) < len(self._peers):
                    raise Unavailable(self.name, failed.why) from None

    async def _websocket(
        self,
        template: str,
        query: Query | None,
        headers: Mapping[str, str] | None,
        max_message: int,
        refused: set[Peer],
    ) -> aiohttp.ClientWebSocketResponse:
        picked = self._peers.pick(refused)
        if picked is None:
            raise Unavailable(self.name, "its circuit is open")
        peer, permit = picked
        url = peer.base_url + target_of(template, None, query)
        shown = url.partition("?")[0]
        try:
            with record.http_client(
                "GET", template, host=peer.host, port=peer.port, url=shown
            ) as span:
                sent = {**(headers or {}), **span.carrier}
                try:
                    async with asyncio.timeout(self._try_timeout):
                        socket = await self._open.ws_connect(
                            URL(url, encoded=True),
                            headers=sent,
                            heartbeat=WEBSOCKET_HEARTBEAT,
                            max_msg_size=max_message,
                        )
                except aiohttp.WSServerHandshakeError as error:
                    span.status = error.status
                    raise
                span.status = SWITCHING_PROTOCOLS
        except aiohttp.WSServerHandshakeError as error:
            peer.breaker.settle(permit, ok=error.status < _SERVER_ERROR)
            raise
        except (aiohttp.ClientError, OSError) as error:
            peer.breaker.settle(permit, ok=False)
            raise _noted(_failed(error), peer, refused) from None
        except BaseException:
            peer.breaker.abandon(permit)
            raise
        peer.breaker.settle(permit, ok=True)
        return socket

    async def _send(self, call: _Call, exchange: Callable[[_Call, Peer, int], Awaitable[R]]) -> R:
        self._budget.deposit()
        tried = 0
        refused: set[Peer] = set()
        while True:
            known = len(refused)
            try:
                response = await self._try(call, tried + known, exchange, refused)
            except _TryFailed as failed:
                if known < len(refused) < len(self._peers):
                    continue
                pause = pause_before(tried + 1)
                repeatable = call.repeatable or not failed.sent
                if not repeatable or not self._may_retry(call, tried, pause):
                    raise Unavailable(self.name, failed.why) from None
            else:
                if not call.repeatable or response.status not in _TRY_AGAIN:
                    return response
                pause = max(pause_before(tried + 1), _retry_after(response))
                if not self._may_retry(call, tried, pause):
                    return response
            tried += 1
            retries_made.add(1, {"service.peer.name": self.name})
            await asyncio.sleep(pause)

    def _may_retry(self, call: _Call, tried: int, pause: float) -> bool:
        in_time = asyncio.get_running_loop().time() + pause < call.deadline
        return tried < self._retries and in_time and self._budget.withdraw()

    async def _try(
        self,
        call: _Call,
        tried: int,
        exchange: Callable[[_Call, Peer, int], Awaitable[R]],
        refused: set[Peer],
    ) -> R:
        picked = self._peers.pick(refused)
        if picked is None:
            raise Unavailable(self.name, "its circuit is open")
        peer, permit = picked
        try:
            response = await exchange(call, peer, tried)
        except (aiohttp.ClientError, OSError, _TooLarge) as error:
            # A peer whose answer is too large for us is well.
            peer.breaker.settle(permit, ok=isinstance(error, _TooLarge))
            raise _noted(_failed(error), peer, refused) from None
        except BaseException:
            peer.breaker.abandon(permit)
            raise
        peer.breaker.settle(permit, ok=response.status < _SERVER_ERROR)
        return response

    async def _exchange(self, call: _Call, peer: Peer, tried: int) -> ClientResponse:
        with self._begun(call, peer, tried) as span:
            async with (
                asyncio.timeout_at(self._until(call)),
                self._asked(call, peer, span) as response,
            ):
                body = await self._read(response)
                span.status = response.status
                return ClientResponse(response.status, response.headers, body)

    async def _exchange_head(self, call: _Call, peer: Peer, tried: int) -> StreamedResponse:
        span = self._begun(call, peer, tried)
        try:
            async with asyncio.timeout_at(self._until(call)), AsyncExitStack() as stack:
                response = await stack.enter_async_context(self._asked(call, peer, span))
                span.status, headers = response.status, response.headers
                if response.status < _REDIRECTION:
                    stack.pop_all()  # it is the body's now
                    body = _Body(self.name, response, span)
                    stream = Stream(body.pieces(), size=response.content_length)
                    stream.on_close(body.close)
                    return StreamedResponse(span.status, headers, stream)
                held = await self._read(response)
        except BaseException as error:
            span.end(error)
            raise
        span.end()
        return StreamedResponse(span.status, headers, Stream(_whole(held), size=len(held)))

    def _until(self, call: _Call) -> float:
        return min(call.deadline, asyncio.get_running_loop().time() + self._try_timeout)

    def _begun(self, call: _Call, peer: Peer, tried: int) -> ClientCall:
        url = peer.base_url + call.target.partition("?")[0]
        return record.http_client(
            call.method, call.template, host=peer.host, port=peer.port, url=url, attempt=tried
        )

    def _asked(
        self, call: _Call, peer: Peer, span: ClientCall
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        headers = call.headers.copy()
        headers.update(span.carrier)
        return self._open.request(
            call.method,
            URL(peer.base_url + call.target, encoded=True),
            headers=headers,
            data=call.body,
            allow_redirects=False,
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._max_response:
                response.close()
                raise _TooLarge
        return bytes(body)

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError(f"the client of {self.name} was not started")
        return self._session


def _failed(error: Exception) -> _TryFailed:
    """Return what to tell of `error`; its text may hold addresses, so its type is told."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return _TryFailed("no connection", sent=False)
    if isinstance(error, TimeoutError):
        return _TryFailed("no answer in time", sent=True)
    return _TryFailed(f"no whole answer ({type(error).__name__})", sent=True)


def _noted(failed: _TryFailed, peer: Peer, refused: set[Peer]) -> _TryFailed:
    """Add the peer to those that refuse to be connected to, if that is what failed."""
    if not failed.sent:
        refused.add(peer)
    return failed


def _retry_after(response: ClientResponse | StreamedResponse) -> float:
    """Return the seconds that the peer asks for; a date is not understood and counts as none."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() and len(value) < 6 else 0.0  # noqa: PLR2004 - a day
