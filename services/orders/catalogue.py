"""What can be ordered, and at which price: kept from inventory's events, asked for on a miss."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from services.orders import store
from services.orders.domain import Product
from weft.errors import Unavailable
from weft.http import HttpClient
from weft.postgres import Database, Executor

MAX_ASKED_AT_ONCE: Final = 8
NOT_FOUND: Final = 404
OK: Final = 200


class _Price(msgspec.Struct):
    amount: str
    currency: str


class _Product(msgspec.Struct):
    """Inventory's public form of a product."""

    sku: str
    name: str
    price: _Price


class Inventory(HttpClient):
    """Inventory over HTTP. Orders is ready without it: it is asked only on a miss."""

    async def check(self) -> None:
        """Say nothing against inventory being away."""


class Catalogue:
    """Products by SKU."""

    def __init__(self, db: Database, inventory: Inventory) -> None:
        self._db = db
        self._inventory = inventory

    async def find(self, where: Executor, skus: Iterable[str]) -> dict[str, Product]:
        """Return those of `skus` that are known here."""
        return await store.products(where, skus)

    async def ask(self, skus: Iterable[str], headers: Mapping[str, str]) -> dict[str, Product]:
        """Ask inventory for `skus`, keep and return those that it has.

        `headers` carry the caller's credentials. Raises Unavailable.
        """
        gate = asyncio.Semaphore(MAX_ASKED_AT_ONCE)

        async def one(sku: str) -> Product | None:
            async with gate:
                return await self._fetch(sku, headers)

        found = [product for product in await asyncio.gather(*map(one, skus)) if product]
        for product in found:
            await store.set_product(self._db, product, revision=0)
        return {product.sku: product for product in found}

    async def _fetch(self, sku: str, headers: Mapping[str, str]) -> Product | None:
        answer = await self._inventory.request(
            "GET", "/v1/products/{sku}", path={"sku": sku}, headers=headers
        )
        if answer.status == NOT_FOUND:
            return None
        if answer.status != OK:
            raise Unavailable("inventory", f"it answered {answer.status}")
        try:
            product = answer.json(_Product)
            units, _, cents = product.price.amount.partition(".")
            price_minor = int(units) * 100 + int(cents)
        except (msgspec.DecodeError, ValueError):
            raise Unavailable("inventory", "its answer is no product") from None
        return Product(
            sku=product.sku,
            name=product.name,
            price_minor=price_minor,
            currency=product.price.currency,
        )
