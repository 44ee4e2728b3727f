"""Fixtures on the real parts: one whole system of its own for the session, started by `weft up`.

Where WEFT_ADMIN_DATABASE_URL and its companions are set already (`eval "$(weft env)"`), the tests
use that running system and leave it as it is.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg
import pytest

ROOT = Path(__file__).resolve().parent.parent
WEFT = Path(sys.executable).with_name("weft")
PORTS = {"gateway": 8080, "orders": 8101, "inventory": 8102, "payments": 8103}
PORTS |= {"card_provider": 8108, "collector": 4318, "jaeger": 16686, "prometheus": 9090}
PORTS |= {"alertmanager": 9093, "loki": 3100}
START_SECONDS = 3600
"""A first start builds the backing parts."""


@dataclass
class System:
    """A running mesh and the command line that steers it."""

    environment: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)

    def weft(self, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `weft` with `arguments`; neither its exit code nor its output is judged here."""
        return subprocess.run(
            [WEFT, *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def url(self, name: str) -> str:
        """Where a service or backing part listens."""
        base = int(self.environment.get("WEFT_PORT_BASE", "0"))
        return f"http://127.0.0.1:{PORTS[name] + base}"

    def token(self, subject: str, scopes: Sequence[str]) -> str:
        """A token of this system for `subject`."""
        options = [option for scope in scopes for option in ("--scope", scope)]
        done = self.weft("token", "--subject", subject, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    """The whole system: the one of the environment, or one that lives as long as the session."""
    if "WEFT_ADMIN_DATABASE_URL" in os.environ:
        yield System(dict(os.environ), dict(os.environ))
        return
    home = Path(tempfile.mkdtemp(prefix="weft-test-"))
    home.chmod(0o755)  # PostgreSQL runs as another user there
    own = {"WEFT_HOME": str(home), "WEFT_PORT_BASE": str(_free_port_base()), "WEFT_TRAFFIC": "0"}
    system = System({**os.environ, **own})
    try:
        started = subprocess.run(
            [WEFT, "up"], env=system.environment, cwd=ROOT, timeout=START_SECONDS, check=False
        )
        assert started.returncode == 0, "the system did not start: see above"
        system.variables = json.loads(system.weft("env", "--json").stdout)
        yield system
    finally:
        system.weft("down", seconds=120)
        shutil.rmtree(home, ignore_errors=True)


def _free_port_base() -> int:
    """A base where nobody listens at the ports that everything else is counted from."""
    for base in range(10_000, 15_001, 500):
        try:
            for port in (5672, 5432, 8080, 8101, 4318, 9090):
                with socket.create_server(("127.0.0.1", port + base)):
                    pass
        except OSError:
            continue
        return base
    raise RuntimeError("no free port base from 10000 to 15000")


def _with(url: str, user: str, password: str, path: str) -> str:
    parts = urlsplit(url)
    netloc = f"{user}:{password}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=netloc, path=path))


@pytest.fixture(scope="session")
def parts(request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables that lead to the backing parts, as an administrator."""
    if "WEFT_ADMIN_DATABASE_URL" in os.environ:
        return dict(os.environ)
    system: System = request.getfixturevalue("system")
    return system.variables


@pytest.fixture
async def database_url(parts: dict[str, str]) -> AsyncIterator[str]:
    """An empty database of its own, and a role that owns it and nothing else."""
    name = f"test_{secrets.token_hex(6)}"
    admin_url = parts["WEFT_ADMIN_DATABASE_URL"]
    admin = await asyncpg.connect(admin_url)
    try:
        await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
        await admin.execute(f"CREATE DATABASE {name} OWNER {name}")
        yield _with(admin_url, name, name, f"/{name}")
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.execute(f"DROP ROLE {name}")
    finally:
        await admin.close()


@pytest.fixture
def redis_url(parts: dict[str, str]) -> str:
    return parts["WEFT_REDIS_URL"]


@pytest.fixture
def management_url(parts: dict[str, str]) -> str:
    """The broker's management API, with an administrator's credentials in it."""
    return parts["WEFT_ADMIN_MANAGEMENT_URL"]


@pytest.fixture
async def broker_url(parts: dict[str, str], management_url: str) -> AsyncIterator[str]:
    """A virtual host of its own with the mesh's exchanges, and a user who may do all in it."""
    name = f"test-{secrets.token_hex(6)}"
    async with aiohttp.ClientSession(raise_for_status=True) as session:

        async def put(path: str, body: dict[str, object]) -> None:
            async with session.put(f"{management_url}/api/{path}", json=body):
                pass

        await put(f"vhosts/{name}", {})
        await put(f"users/{name}", {"password": name, "tags": ""})
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        await put(f"permissions/{name}/{name}", everything)
        alternate = {"alternate-exchange": "weft.unrouted"}
        await put(f"exchanges/{name}/weft.unrouted", {"type": "fanout", "durable": True})
        await put(
            f"exchanges/{name}/weft.events",
            {"type": "topic", "durable": True, "arguments": alternate},
        )
        await put(f"exchanges/{name}/weft.commands", {"type": "direct", "durable": True})
        yield _with(parts["WEFT_ADMIN_BROKER_URL"], name, name, f"/{name}")
        for path in (f"vhosts/{name}", f"users/{name}"):
            async with session.delete(f"{management_url}/api/{path}"):
                pass
