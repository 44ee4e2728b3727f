"""The gateway process; the services behind it are played by the test, over real sockets."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
from yarl import URL

from tests.integration.sink import telemetry_sink
from tests.ports import free_port
from weft.http import (
    Authenticator,
    HttpServer,
    Reply,
    Request,
    Routes,
    TokenSigner,
    Upgrade,
    WebSocket,
    text_frame,
)
from weft.http.tokens import new_private_key

API_KEY = "weft-key-of-bob"
KEYS = [
    {
        "sha256": hashlib.sha256(API_KEY.encode()).hexdigest(),
        "subject": "bob",
        "scopes": ["orders:read"],
    }
]
START_SECONDS = 120.0
"""A process may start on a machine that has much else to do."""


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.05)


class Inner:
    """A service behind the gateway: it checks tokens as the real ones do and tells what it saw."""

    def __init__(self, name: str, jwks: Path, port: int) -> None:
        self.name = name
        self.seen: list[Request] = []
        self._auth = Authenticator(str(jwks))
        self._port = port
        self.server = self._made()

    def _made(self) -> HttpServer:
        routes = Routes()
        for method in ("GET", "POST", "PUT"):
            routes.raw(method, "/v1/{rest...}", self._echo)
        routes.raw("GET", "/v1/updates", self._socket, public=True)
        routes.get("/openapi.json", public=True)(self._specification)
        routes.get("/healthz", public=True, probe=True)(self._healthy)
        return HttpServer(self.name, routes, port=self._port, auth=self._auth)

    async def start(self) -> None:
        self.server = self._made()
        await self.server.start()
        self.server.open()

    async def _echo(self, request: Request) -> Reply[dict[str, Any]]:
        await request.read()
        self.seen.append(request)
        told = {
            "service": self.name,
            "method": request.method,
            "target": request.target,
            "subject": request.subject,
            "scopes": sorted(request.scopes),
            "body": request.raw.decode(),
            "headers": {name.lower(): value for name, value in request.headers.items()},
        }
        headers = {
            "Idempotent-Replayed": "true",
            "Set-Cookie": "inner=1",
            "X-Inner": "secret",
            "Retry-After": "7",
        }
        return Reply(told, 202, headers)

    async def _socket(self, request: Request) -> Upgrade:
        """Say who called and how; but for the user `stay`, that is all."""

        async def say(socket: WebSocket) -> None:
            socket.offer(text_frame(f"{request.subject} {request.query_string}".encode()))
            if request.subject == "stay":
                await socket.receive()
            await socket.close(4444)

        return Upgrade(say)

    async def _specification(self, _: Request) -> dict[str, Any]:
        return {
            "openapi": "3.1.0",
            "paths": {f"/v1/{self.name}": {}},
            "components": {"schemas": {"Money": {"title": self.name}}},
        }

    async def _healthy(self, _: Request) -> dict[str, str]:
        return {"status": "ok"}


class Gateway:
    """One or several gateway processes on one port, and a caller of them."""

    def __init__(self, folder: Path) -> None:
        self.signer = TokenSigner(new_private_key())
        self.port = free_port()
        self.log = folder / "gateway.log"
        self.processes: list[subprocess.Popen[bytes]] = []
        jwks, key = folder / "jwks.json", folder / "key.pem"
        private = new_private_key()
        self.signer = TokenSigner(private)
        key.write_bytes(private)
        jwks.write_text(json.dumps(self.signer.jwks()))
        ports = {name: free_port() for name in ("orders", "inventory", "reports")}
        self.inner = {name: Inner(name, jwks, port) for name, port in ports.items()}
        self.environment = {
            "WEFT_PORT": str(self.port),
            "WEFT_JWKS": str(jwks),
            "WEFT_SIGNING_KEY_FILE": str(key),
            "WEFT_API_KEYS": json.dumps(KEYS),
            "WEFT_ORDERS_URL": f"http://127.0.0.1:{ports['orders']}",
            "WEFT_INVENTORY_URL": f"http://127.0.0.1:{ports['inventory']}",
            "WEFT_REPORTS_URL": f"http://127.0.0.1:{ports['reports']}",
            "WEFT_CONSOLE": "json",
        }
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))

    @classmethod
    @asynccontextmanager
    async def running(
        cls, folder: Path, *, processes: int = 1, **settings: str
    ) -> AsyncIterator[Self]:
        """The gateway and what is behind it. Each process has to drain well at the end."""
        gateway = cls(folder)
        async with telemetry_sink() as collector:
            gateway.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector
            async with gateway._running(processes, settings):
                yield gateway

    @asynccontextmanager
    async def _running(self, processes: int, settings: dict[str, str]) -> AsyncIterator[None]:
        try:
            for inner in self.inner.values():
                await inner.start()
            for _ in range(processes):
                self.start(**settings)
            await until(self._ready, seconds=START_SECONDS)
            yield
            for process in self.processes:
                process.send_signal(signal.SIGTERM)
            waiting = [asyncio.to_thread(each.wait, 60) for each in self.processes]
            codes = await asyncio.gather(*waiting)
            assert set(codes) == {0}, self.log.read_text()
        finally:
            for process in self.processes:
                process.kill()
            await self.session.close()
            for inner in self.inner.values():
                await inner.server.stop()

    def start(self, **settings: str) -> None:
        with self.log.open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "services.gateway"],
                    env={**os.environ, **self.environment, **settings},
                    stdout=log,
                    stderr=log,
                )
            )

    async def _ready(self) -> bool:
        """Every process has said so; several share the port, so asking one tells of one only."""
        for process in self.processes:
            assert process.poll() is None, self.log.read_text()
        said = self.log.read_text().count('"service ready"')
        return said >= len(self.processes)

    def bearer(self, subject: str = "alice", *scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.signer.mint(subject, scopes, 300).token}"}

    async def ask(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> tuple[int, Any, Any]:
        """Status, decoded JSON body and headers of the answer."""
        asked = self.bearer() if headers is None else headers
        url = URL(f"http://127.0.0.1:{self.port}{path}", encoded=True)
        async with self.session.request(method, url, headers=asked, **options) as response:
            body = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, json.loads(body) if is_json and body else body, response.headers
