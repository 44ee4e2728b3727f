from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.orders.kit import Orders, Peers
from tests.integration.sink import telemetry_sink


@pytest.fixture
async def peers(broker_url: str) -> AsyncIterator[Peers]:
    """Inventory and payments at the broker."""
    made = Peers()
    async with made.running(broker_url):
        yield made


@pytest.fixture
async def stopped_orders(
    tmp_path: Path, database_url: str, broker_url: str, peers: Peers
) -> AsyncIterator[Orders]:
    """Orders, not started. The peers' queues exist, so that no command is unroutable."""
    assert peers.answers
    async with (
        telemetry_sink() as collector,
        Orders.prepared(tmp_path, database_url, broker_url, collector) as orders,
    ):
        yield orders


@pytest.fixture
async def orders(stopped_orders: Orders) -> AsyncIterator[Orders]:
    """Orders, running, and inventory's HTTP side with two products."""
    async with stopped_orders.inventory({"SKU-0001": "6.25", "SKU-0002": "19.99"}):
        await stopped_orders.start()
        yield stopped_orders
