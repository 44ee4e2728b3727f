"""Inventory, payments and the card provider as processes, on the real broker and database."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from tests.integration.shop.kit import CARD_KEY, WEBHOOK_SECRET, Keys, PostBox, Running, environment
from weft.settings import Secret

Databases = Callable[[], Awaitable[str]]
Start = Callable[..., Awaitable[Running]]


@pytest.fixture
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


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start a service and wait until it is ready."""
    running: list[Running] = []

    async def begin(name: str, *, wait: bool = True, **settings: str) -> Running:
        log = tmp_path / f"{name}-{len(running)}.log"
        service = Running(name, environment(**settings), log)
        running.append(service)
        await service.start()
        if wait:
            await service.ready()
        return service

    yield begin
    for service in running:
        await service.end()


@pytest.fixture
async def post(broker_url: str) -> AsyncIterator[PostBox]:
    box = PostBox(broker_url)
    await box.open()
    yield box
    await box.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def shared() -> dict[str, str]:
    """What payments and the card provider both know."""
    return {"WEFT_CARD_PROVIDER_KEY": CARD_KEY, "WEFT_WEBHOOK_SECRET": WEBHOOK_SECRET}


@pytest.fixture
def webhook_secret() -> Secret:
    return Secret(WEBHOOK_SECRET)
