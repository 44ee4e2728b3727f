from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.backing import database, virtual_host
from tests.integration.orders.kit import Orders, Peers
from tests.integration.sink import telemetry_sink

PRODUCTS = {"SKU-0001": "6.25", "SKU-0002": "19.99"}


@asynccontextmanager
async def prepared(folder: Path, parts: dict[str, str]) -> AsyncIterator[Orders]:
    """Orders, not started. The peers' queues exist, so that no command is unroutable."""
    peers = Peers()
    async with (
        database(parts) as database_url,
        virtual_host(parts) as broker_url,
        peers.running(broker_url),
        telemetry_sink() as collector,
        Orders.prepared(folder, database_url, broker_url, collector, peers) as orders,
    ):
        yield orders


@asynccontextmanager
async def running(folder: Path, parts: dict[str, str]) -> AsyncIterator[Orders]:
    """Orders, running, and inventory's HTTP side with two products."""
    async with prepared(folder, parts) as orders, orders.inventory(PRODUCTS):
        await orders.start()
        yield orders


@pytest.fixture
async def stopped_orders(tmp_path: Path, parts: dict[str, str]) -> AsyncIterator[Orders]:
    """Orders, not started, and for one test alone."""
    async with prepared(tmp_path, parts) as orders:
        yield orders


@pytest.fixture
async def own_orders(tmp_path: Path, parts: dict[str, str]) -> AsyncIterator[Orders]:
    """Orders, running, and for one test alone, which may stop it."""
    async with running(tmp_path, parts) as orders:
        yield orders


@pytest.fixture(scope="module")
async def shared_orders(
    tmp_path_factory: pytest.TempPathFactory, parts: dict[str, str]
) -> AsyncIterator[Orders]:
    async with running(tmp_path_factory.mktemp("orders"), parts) as orders:
        yield orders


@pytest.fixture
def orders(shared_orders: Orders) -> Orders:
    """Orders, running, which a module's tests share; each has a customer of its own."""
    shared_orders.begin()
    return shared_orders


@pytest.fixture
def peers(request: pytest.FixtureRequest) -> Peers:
    """Inventory and payments of the test's orders."""
    name = next(name for name in request.fixturenames if name.endswith("orders"))
    orders: Orders = request.getfixturevalue(name)
    return orders.peers
