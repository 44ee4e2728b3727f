"""Five services as processes of their own: databases, ports, readiness, memory. Of any stack."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil

from benchmarks.bench.subject import PLACE, Meter, Place, working

SERVICES: Final = ("provider", "payments", "inventory", "orders", "gateway")
"""In the order in which they are started."""
_ROOT: Final = Path(__file__).resolve().parents[3]
_READY_SECONDS: Final = 90.0
_ANSWER_SECONDS: Final = 5.0
_END_SECONDS: Final = 15.0
_LOOK: Final = 0.1
_WATCH_EVERY: Final = 1.0
_MIB: Final = 1024 * 1024
_LAST_BYTES: Final = 2000


class ServiceError(Exception):
    """A service has ended or is not ready: with the end of what it wrote."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """How a service is started, by this Python."""

    name: str
    port: int
    arguments: Sequence[str]
    environment: Mapping[str, str]


def database(place: Place, service: str) -> str:
    """Return the address of the service's own database."""
    parts = urlsplit(place.database)
    return urlunsplit(parts._replace(path=f"{parts.path}_{service}"))


def gateways(address: str) -> tuple[list[str], dict[str, str]]:
    """Return what the address of a mesh tells customers: URLs, and headers of their requests."""
    told: dict[str, Any] = json.loads(address)
    return told["urls"], told["headers"]


def free_ports() -> dict[str, int]:
    """Return a port for each service that nothing listens on now."""
    return {name: ports[0] for name, ports in ports_of_copies(1).items()}


def ports_of_copies(copies: int) -> dict[str, list[int]]:
    """Return ports for so many processes of each service that nothing listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(copies * len(SERVICES))]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = iter([one.getsockname()[1] for one in sockets])
        return {name: [next(ports) for _ in range(copies)] for name in SERVICES}


@asynccontextmanager
async def databases(place: Place) -> AsyncIterator[None]:
    """Make an empty database for each service but the gateway; drop them after."""
    owner = await asyncpg.connect(place.database)
    names = [urlsplit(database(place, service)).path[1:] for service in SERVICES[:-1]]
    try:
        for name in names:
            await owner.execute(f"CREATE DATABASE {name}")
        yield
    finally:
        for name in names:
            await owner.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await owner.close()


@asynccontextmanager
async def running(
    services: Sequence[Service], meter: Meter, headers: Mapping[str, str]
) -> AsyncIterator[None]:
    """Start the services and wait until all are ready."""
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(_process(one)) for one in services]
        for one in started:
            await one.ready()
        urls = [one.url for one in started if one.name == "gateway"]
        meter.address = json.dumps({"urls": urls, "headers": dict(headers)})
        async with working(_watch(started, meter)):
            yield


class _Running:
    def __init__(
        self, service: Service, process: asyncio.subprocess.Process, written: IO[bytes]
    ) -> None:
        self.name = service.name
        self.process = process
        self.url = f"http://127.0.0.1:{service.port}"
        self._written = written

    async def ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not await asyncio.to_thread(self._answers):
            self.check()
            if time.monotonic() > deadline:
                raise self._error("is not ready")
            await asyncio.sleep(_LOOK)

    def check(self) -> None:
        if self.process.returncode is not None:
            raise self._error("has ended")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=_ANSWER_SECONDS):  # noqa: S310 - loopback
                return True
        except OSError:
            return False

    def _error(self, what: str) -> ServiceError:
        self._written.seek(0, os.SEEK_END)
        self._written.seek(max(0, self._written.tell() - _LAST_BYTES))
        return ServiceError(f"{self.name} {what}:\n{self._written.read().decode(errors='replace')}")


@asynccontextmanager
async def _process(service: Service) -> AsyncIterator[_Running]:
    inherited = {name: value for name, value in os.environ.items() if name != PLACE}
    with tempfile.TemporaryFile() as written:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *service.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            cwd=_ROOT,
            env=inherited | dict(service.environment),
        )
        try:
            yield _Running(service, process, written)
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _END_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _watch(services: Sequence[_Running], meter: Meter) -> None:
    """Note the most memory that the services had resident, in all; fail if one ends."""
    processes = [psutil.Process(one.process.pid) for one in services]
    most = 0.0
    while True:
        for one in services:
            one.check()
        most = max(most, sum(one.memory_info().rss for one in processes) / _MIB)
        meter.figures["memory_mib"] = most
        await asyncio.sleep(_WATCH_EVERY)
