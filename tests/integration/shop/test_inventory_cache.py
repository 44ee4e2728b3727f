"""Inventory with its cache: what is shown comes from it, and is as new as the last change."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
from redis.asyncio import Redis

from services.inventory.messages import CommitStock, Item, ReleaseStock, ReserveStock
from tests.integration.shop.conftest import Databases, Start
from tests.integration.shop.kit import Keys, PostBox, until

SOON = 7.0
"""Seconds in which an entry does not expire by itself."""


class Inventory:
    def __init__(self, url: str, database: str, http: aiohttp.ClientSession, keys: Keys) -> None:
        self._url = url
        self._database = database
        self._http = http
        self._headers = keys.header("inventory:write")
        self.sku = f"C-{uuid4().hex[:12]}"

    async def put(self, stock: int) -> None:
        price = {"amount": "2.50", "currency": "EUR"}
        body = {"name": "Reed", "price": price, "stock": stock}
        url = f"{self._url}/v1/products/{self.sku}"
        async with self._http.put(url, json=body, headers=self._headers) as response:
            assert response.status in (200, 201)

    async def numbers(self, sku: str | None = None) -> tuple[int, int]:
        url = f"{self._url}/v1/products/{sku or self.sku}"
        async with self._http.get(url, headers=self._headers) as response:
            product: dict[str, Any] = await response.json()
        return product["stock"], product["reserved"]

    async def shows(self, stock: int, reserved: int) -> None:
        async def exact() -> bool:
            return await self.numbers() == (stock, reserved)

        await until(exact, SOON)

    async def is_cached(self) -> bool:
        """Change the stock behind the service's back; whether it still shows the old one."""
        before = await self.numbers()
        connection = await asyncpg.connect(self._database)
        try:
            await connection.execute(
                "UPDATE products SET stock = stock + 1 WHERE sku = $1", self.sku
            )
            after = await self.numbers()
            await connection.execute(
                "UPDATE products SET stock = stock - 1 WHERE sku = $1", self.sku
            )
        finally:
            await connection.close()
        return before == after


@pytest.fixture(scope="module")
async def own_cache(parts: dict[str, str]) -> AsyncIterator[str]:
    """A database of the cache that no other inventory uses."""
    url = f"{parts['WEFT_REDIS_URL'].rpartition('/')[0]}/7"
    redis = Redis.from_url(url)
    await redis.flushdb()
    yield url
    await redis.flushdb()
    await redis.aclose()


@pytest.fixture(scope="module")
async def inventory(
    start: Start,
    keys: Keys,
    new_database: Databases,
    amqp_url: str,
    own_cache: str,
    http: aiohttp.ClientSession,
) -> Inventory:
    database = await new_database()
    service = await start(
        "inventory",
        WEFT_DATABASE_URL=database,
        WEFT_BROKER_URL=amqp_url,
        WEFT_JWKS=str(keys.path),
        WEFT_REDIS_URL=own_cache,
    )
    return Inventory(service.url, database, http, keys)


async def test_a_product_is_shown_from_the_cache_until_it_is_set(inventory: Inventory) -> None:
    await inventory.put(300)
    assert await inventory.numbers() == (300, 0)
    await until(inventory.is_cached)
    for stock in (8, 7, 6):
        await inventory.put(stock)
        assert await inventory.numbers() == (stock, 0)


async def test_every_movement_of_stock_is_shown(inventory: Inventory, post: PostBox) -> None:
    await inventory.put(10)
    await inventory.shows(10, 0)
    sold, released = str(uuid4()), str(uuid4())
    for order_id in (sold, released):
        items = [Item(sku=inventory.sku, quantity=2)]
        await post.send(ReserveStock(order_id=order_id, items=items), order_id)
        await post.expect(order_id, "stock.reserved")
    await inventory.shows(6, 4)
    await post.send(CommitStock(order_id=sold), sold)
    await post.expect(sold, "stock.committed")
    await inventory.shows(6, 2)
    await post.send(ReleaseStock(order_id=released), released)
    await post.expect(released, "stock.released")
    await inventory.shows(8, 0)
