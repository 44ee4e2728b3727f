"""Inventory, payments and the card provider as processes, on the real broker and database.

A module's tests share the processes: each uses orders and products of its own.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import asyncpg
import pytest

from tests.backing import virtual_host
from tests.integration.shop.kit import (
    CARD_KEY,
    WEBHOOK_SECRET,
    Keys,
    PostBox,
    Running,
    environment,
)

Databases = Callable[[], Awaitable[str]]
Start = Callable[..., Awaitable[Running]]


@pytest.fixture(scope="module")
async def new_database(parts: dict[str, str]) -> AsyncIterator[Databases]:
    """Make a further empty database."""
    admin_url = parts["WEFT_ADMIN_DATABASE_URL"]
    admin = await asyncpg.connect(admin_url)
    names: list[str] = []

    async def make() -> str:
        name = f"test_{secrets.token_hex(6)}"
        await admin.execute(f"CREATE DATABASE {name}")
        names.append(name)
        return f"{admin_url.rpartition('/')[0]}/{name}"

    yield make
    for name in names:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture(scope="module")
async def amqp_url(parts: dict[str, str]) -> AsyncIterator[str]:
    async with virtual_host(parts) as url:
        yield url


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
async def start(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Start]:
    """Start a service and wait until it is ready."""
    folder = tmp_path_factory.mktemp("services")
    running: list[Running] = []

    async def begin(name: str, **settings: str) -> Running:
        log = folder / f"{name}-{len(running)}.log"
        service = Running(name, environment(**settings), log)
        running.append(service)
        await service.start()
        await service.ready()
        return service

    yield begin
    for service in running:
        await service.end()


@pytest.fixture(scope="module")
async def post(amqp_url: str) -> AsyncIterator[PostBox]:
    box = PostBox(amqp_url)
    await box.open()
    yield box
    await box.close()


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(scope="module")
def agreed() -> dict[str, str]:
    """What payments and the card provider both know."""
    return {"WEFT_CARD_PROVIDER_KEY": CARD_KEY, "WEFT_WEBHOOK_SECRET": WEBHOOK_SECRET}
