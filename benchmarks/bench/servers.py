"""RabbitMQ and PostgreSQL for the subjects: the running system's, or started for the bench."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg

from benchmarks.bench.processes import ROOT
from benchmarks.bench.subject import Place
from stack import backing, parts, services, stop
from stack.credentials import ADMIN
from stack.ports import Ports
from stack.supervisor import Supervisor
from stack.system import System

SYSTEM: Final = "system"
"""The need for everything, services too."""
_START_SECONDS: Final = 120.0
_RUNNING: Final = "WEFT_ADMIN_DATABASE_URL"
_MANAGEMENT: Final = "WEFT_ADMIN_MANAGEMENT_URL"


class ServersError(Exception):
    """What a bench needs is not there or does not start."""


@dataclass(frozen=True)
class Servers:
    """Running servers, by the variables that `weft env` prints."""

    variables: Mapping[str, str]

    @asynccontextmanager
    async def place(self, telemetry: str) -> AsyncIterator[Place]:
        """Make an empty database and virtual host; drop them after."""
        if _RUNNING not in self.variables:
            yield Place(telemetry=telemetry)
            return
        name = f"bench_{secrets.token_hex(6)}"
        async with self._database(name) as database, AsyncExitStack() as stack:
            broker = ""
            if _MANAGEMENT in self.variables:
                broker = await stack.enter_async_context(self._vhost(name))
            yield Place(broker=broker, database=database, telemetry=telemetry)

    async def versions(self) -> dict[str, str]:
        """Return the versions of the servers by name."""
        if _RUNNING not in self.variables:
            return {}
        admin = await asyncpg.connect(self.variables[_RUNNING])
        postgres = await admin.fetchval("SHOW server_version")
        await admin.close()
        if _MANAGEMENT not in self.variables:
            return {"PostgreSQL": postgres.split()[0]}
        overview = await self._manage("GET", "overview")
        return {"PostgreSQL": postgres.split()[0], "RabbitMQ": overview["rabbitmq_version"]}

    @asynccontextmanager
    async def _database(self, name: str) -> AsyncIterator[str]:
        admin = await asyncpg.connect(self.variables[_RUNNING])
        try:
            await admin.execute(f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD '{name}'")
            await admin.execute(f"CREATE DATABASE {name} OWNER {name}")
            yield _with(self.variables[_RUNNING], name)
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await admin.execute(f"DROP ROLE {name}")
        finally:
            await admin.close()

    @asynccontextmanager
    async def _vhost(self, name: str) -> AsyncIterator[str]:
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        await self._manage("PUT", f"vhosts/{name}", {})
        await self._manage("PUT", f"users/{name}", {"password": name, "tags": ""})
        await self._manage("PUT", f"permissions/{name}/{name}", everything)
        for exchange, kind in (("weft.events", "topic"), ("weft.commands", "direct")):
            definition = {"type": kind, "durable": True}
            await self._manage("PUT", f"exchanges/{name}/{exchange}", definition)
        try:
            yield _with(self.variables["WEFT_ADMIN_BROKER_URL"], name)
        finally:
            await self._manage("DELETE", f"vhosts/{name}")
            await self._manage("DELETE", f"users/{name}")

    async def _manage(self, method: str, path: str, body: object = None) -> Any:
        url = f"{self.variables[_MANAGEMENT]}/api/{path}"
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.request(method, url, json=body) as answer,
        ):
            text = await answer.text()
            return json.loads(text) if text else None


def _with(url: str, name: str) -> str:
    parts_ = urlsplit(url)
    netloc = f"{name}:{name}@{parts_.hostname}:{parts_.port}"
    return urlunsplit(parts_._replace(netloc=netloc, path=f"/{name}"))


@contextmanager
def running(needs: Iterable[str]) -> Iterator[Servers]:
    """Have what is in `needs`: what `weft env` of a running system names, else servers of our own.

    Raises ServersError.
    """
    wanted = tuple(needs)
    if not wanted or _RUNNING in os.environ:
        yield Servers(dict(os.environ) if wanted else {})
        return
    home = Path(tempfile.mkdtemp(prefix="weft-bench-"))
    home.chmod(0o755)  # PostgreSQL runs as another user there
    base = os.environ.get("WEFT_PORT_BASE") or Ports(-1).free_base()
    if base is None:
        raise ServersError("no range of free ports")
    own = {"WEFT_HOME": str(home), "WEFT_PORT_BASE": str(base)}
    system = System.load(own)
    try:
        yield Servers(_whole(own) if SYSTEM in wanted else _some(system, wanted))
    finally:
        stop.down(system)
        shutil.rmtree(home, ignore_errors=True)


def _whole(own: Mapping[str, str]) -> dict[str, str]:
    weft = Path(sys.executable).with_name("weft")
    environment = {**os.environ, **own, "WEFT_TRAFFIC": "0"}
    if subprocess.run([weft, "up"], env=environment, cwd=ROOT, check=False).returncode:  # noqa: S603
        raise ServersError("the system does not start: see above")
    told = subprocess.run(  # noqa: S603 - our own program
        [weft, "env", "--json"], env=environment, cwd=ROOT, check=True, capture_output=True
    )
    variables: dict[str, str] = json.loads(told.stdout)
    return variables


def _some(system: System, wanted: Sequence[str]) -> dict[str, str]:
    system.home.check()
    system.home.make()
    system.credentials.make([service.name for service in services.SERVICES])
    programs = []
    for name in wanted:
        found = parts.find(name)
        if found is None:
            raise ServersError(f"{name} is not on this machine: `make up` installs it")
        programs.append(backing.prepare(system, found))
    supervisor = Supervisor(system.home)
    supervisor.configure(programs)
    supervisor.start()
    deadline = time.monotonic() + _START_SECONDS
    for program in programs:
        while (answer := program.why_not_ready()) is not None:
            if time.monotonic() > deadline:
                raise ServersError(f"{program.id} is not ready: {answer}")
            time.sleep(0.2)
    variables = {_RUNNING: system.credentials.database_url(ADMIN, "postgres")}
    if "rabbitmq" in wanted:
        variables["WEFT_ADMIN_BROKER_URL"] = system.credentials.broker_url(ADMIN, "/")
        variables[_MANAGEMENT] = system.credentials.management_url()
    return variables
