"""A database or a virtual host of a test's own, on the real parts."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg


@asynccontextmanager
async def database(parts: dict[str, str]) -> AsyncIterator[str]:
    """An empty database, and a role that owns it and nothing else."""
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


@asynccontextmanager
async def virtual_host(parts: dict[str, str]) -> AsyncIterator[str]:
    """A virtual host with the mesh's exchanges, and a user who may do all in it."""
    name = f"test-{secrets.token_hex(6)}"
    api = f"{parts['WEFT_ADMIN_MANAGEMENT_URL']}/api"
    alternate = {"alternate-exchange": "weft.unrouted"}
    wanted: dict[str, dict[str, object]] = {
        f"vhosts/{name}": {},
        f"users/{name}": {"password": name, "tags": ""},
        f"permissions/{name}/{name}": dict.fromkeys(("configure", "write", "read"), ".*"),
        f"exchanges/{name}/weft.unrouted": {"type": "fanout", "durable": True},
        f"exchanges/{name}/weft.events": {"type": "topic", "durable": True, "arguments": alternate},
        f"exchanges/{name}/weft.commands": {"type": "direct", "durable": True},
    }
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        for path, body in wanted.items():
            async with session.put(f"{api}/{path}", json=body):
                pass
        yield _with(parts["WEFT_ADMIN_BROKER_URL"], name, name, f"/{name}")
        for path in (f"vhosts/{name}", f"users/{name}"):
            async with session.delete(f"{api}/{path}"):
                pass


def _with(url: str, user: str, password: str, path: str) -> str:
    parts = urlsplit(url)
    netloc = f"{user}:{password}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=netloc, path=path))
