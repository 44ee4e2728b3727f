"""Two replicas, shared by a module's tests: each uses users of its own."""

from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from tests.backing import database, virtual_host
from tests.integration.channel.kit import Browser, Keys, Replica


@pytest.fixture(scope="module")
async def place(parts: dict[str, str]) -> AsyncIterator[tuple[str, str]]:
    """An empty database and virtual host."""
    async with database(parts) as database_url, virtual_host(parts) as broker_url:
        yield database_url, broker_url


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
async def replicas(place: tuple[str, str], keys: Keys) -> AsyncIterator[list[Replica]]:
    running = [Replica(*place, keys) for _ in range(2)]
    for one in running:
        await one.start()
    yield running
    for one in running:
        await one.stop()


@pytest.fixture
async def browser(keys: Keys) -> AsyncIterator[Callable[[str], Browser]]:
    """Make a browser of a user."""
    opened: list[Browser] = []
    async with aiohttp.ClientSession() as session:

        def make(user: str = "") -> Browser:
            opened.append(Browser(session, keys.header(user) if user else {}))
            return opened[-1]

        yield make
        for one in opened:
            await one.close()
