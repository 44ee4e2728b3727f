"""Fixtures on the real parts. What they need is named by the variables that `weft env` prints."""

import os
import secrets
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg
import pytest


def _with(url: str, user: str, password: str, path: str) -> str:
    parts = urlsplit(url)
    netloc = f"{user}:{password}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=netloc, path=path))


@pytest.fixture(scope="session")
def parts() -> dict[str, str]:
    """The variables that lead to the backing parts."""
    names = ("WEFT_ADMIN_DATABASE_URL", "WEFT_ADMIN_BROKER_URL", "WEFT_ADMIN_MANAGEMENT_URL")
    return {name: os.environ[name] for name in (*names, "WEFT_REDIS_URL")}


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
