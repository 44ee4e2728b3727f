import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import aiohttp
import pytest
from playwright.async_api import Browser

from stack.system import System as Stack
from tests.end_to_end.browser import chromium
from tests.end_to_end.outside import EVERY_SCOPE, Door, Running
from tests.shared import Run

TOKEN_SECONDS = 900.0
Caller = Callable[..., Door]


@pytest.fixture(autouse=True)
def turn(request: pytest.FixtureRequest, shared: Run) -> Iterator[None]:
    """Let a test that is marked `alone` have the run's system for itself.

    Such are those that stop or load parts of it, count what all orders come to, or use commands
    of which the system takes one at a time: up, scale, run, forget.
    """
    if "system" not in request.node.fixturenames:
        yield
        return
    with shared.turn(alone=request.node.get_closest_marker("alone") is not None):
        yield


@pytest.fixture
async def caller(system: Running) -> AsyncIterator[Caller]:
    """Makes doors for users of their own, or of a given name, with a token of given scopes."""
    signer = Stack.load(system.environment).credentials.signer()
    connector = aiohttp.TCPConnector(limit=50)
    async with aiohttp.ClientSession(connector=connector) as session:

        def make(subject: str | None = None, scopes: Sequence[str] = EVERY_SCOPE) -> Door:
            name = subject or f"user-{secrets.token_hex(6)}"
            token = signer.mint(name, scopes, TOKEN_SECONDS).token
            return Door(session, system.url("gateway"), token, name)

        yield make


@pytest.fixture(scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
async def stranger(system: Running) -> AsyncIterator[Door]:
    """Somebody without a token."""
    async with aiohttp.ClientSession() as session:
        yield Door(session, system.url("gateway"), None)
