"""The HTTP server of a service."""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress

from aiohttp.web import BaseRequest, ServerRunner, SockSite, StreamResponse

from weft.errors import Unavailable
from weft.http.endpoint import Endpoint
from weft.http.framing import Listener
from weft.http.front import Front
from weft.http.identity import Authentication
from weft.http.problem import Problem
from weft.http.request import Request
from weft.http.router import Router
from weft.http.routes import Route

BACKLOG = 1024
"""Connections that the kernel holds for us before we accept them."""

KEEPALIVE = 75.0
"""Seconds that an idle connection stays open."""

LINGER = 2.0
"""Seconds in which the rest of a refused body is read, so that the caller sees the answer."""

FIRST_WORD = 0.25
"""Seconds that a connection made just before a stop has for its request."""


class HttpServer:
    """Serves routes on one port (0: any free one; `port` tells which after `start`).

    `start` listens at once; until `open` is called, and again from `close` on, all routes but the
    probes answer 503 with Retry-After. `stop` serves what has arrived and nothing more, for at most
    `drain_timeout` seconds; then it is cut off. `edge` is for the one public door: there a caller's
    trace is continued only if they are authenticated, and never their sampling or baggage.
    """

    def __init__(
        self,
        name: str,
        routes: Iterable[Route],
        *,
        bind: str = "127.0.0.1",
        port: int,
        auth: Authentication | None = None,
        edge: bool = False,
        reuse_port: bool = False,
        drain_timeout: float = 5.0,
    ) -> None:
        self.name = name
        self.bind = bind
        self.port = port
        self._reuse_port = reuse_port
        self._drain_timeout = drain_timeout
        self._front = Front(auth=auth, edge=edge, port=port)
        self._router: Router[Endpoint] = Router()
        for route in routes:
            if auth is None and route.scope:
                raise ValueError(f"{route.path} needs a scope, and the server no authentication")
            self._router.add(route.method, route.path, Endpoint(route, self._front))
        self._runner: ServerRunner | None = None
        self._listening: socket.socket | None = None

    async def start(self) -> None:
        """Listen; raise OSError if the port is taken."""
        self._listener = Listener(
            self._dispatch,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=KEEPALIVE,
            lingering_time=LINGER,
        )
        runner = ServerRunner(self._listener, shutdown_timeout=0.5)
        await runner.setup()
        listening = _listen(self.bind, self.port, reuse_port=self._reuse_port)
        await SockSite(runner, listening, backlog=BACKLOG).start()
        self.port = self._front.port = listening.getsockname()[1]
        self._listening = listening
        self._runner = runner

    def open(self) -> None:
        """Let requests through to the routes."""
        self._front.is_open = True

    def close(self) -> None:
        """Answer 503 from now on; what is in hand goes on."""
        self._front.is_open = False

    async def check(self) -> None:
        """Raise Unavailable if the server does not listen."""
        if self._runner is None or not self._runner.addresses:
            raise Unavailable(self.name, "not listening")

    async def stop(self) -> None:
        """Stop listening, answer what has arrived (bounded), close the connections."""
        if self._runner is None or self._listening is None:
            return
        self._front.is_draining = True
        waiting = _accept_all(self._listening)
        for site in self._runner.sites:
            await site.stop()
        await self._listener.adopt(waiting)
        await self._listener.heard(FIRST_WORD)
        self._listener.pre_shutdown()
        await asyncio.gather(self._front.hang_up(), self._front.drained(self._drain_timeout))
        self.close()
        await self._runner.cleanup()
        self._runner = None

    async def _dispatch(self, http: BaseRequest) -> StreamResponse:
        path = http.raw_path if http.raw_path.startswith("/") else http.rel_url.raw_path_qs
        try:
            endpoint, values = self._router.find(http.method, path.partition("?")[0])
        except Problem as problem:
            return await self._refuse(http, path, problem)
        return await endpoint.serve(http, path, values)

    async def _refuse(self, http: BaseRequest, path: str, problem: Problem) -> StreamResponse:
        """Answer a request that no route takes."""

        async def refuse(_: Request) -> None:
            raise problem

        nowhere = Route(method=http.method, path="", handler=refuse, public=True, raw=True)
        return await Endpoint(nowhere, self._front).serve(http, path, {})


def _accept_all(listening: socket.socket) -> list[socket.socket]:
    """Take the connections that the kernel holds for us: closing the socket would reset them."""
    accepted: list[socket.socket] = []
    with suppress(BlockingIOError):
        while True:
            accepted.append(listening.accept()[0])
    return accepted


def _listen(bind: str, port: int, *, reuse_port: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((bind, port))
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening
