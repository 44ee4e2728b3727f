"""Puts a new shop's products in place, at the first start."""

import asyncio
import random

from services.inventory import seed, store
from services.inventory.messages import product_set
from weft.errors import Unavailable
from weft.messaging import outgoing
from weft.postgres import Database, Outbox
from weft.telemetry import get_logger

log = get_logger(__name__)


class Seeding:
    """Component: `start` returns when the products are there; those found stay as they are."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self.name = "seed products"
        self._db = db
        self._outbox = outbox

    async def start(self) -> None:
        """Insert the missing products and tell of them; wait for the database if it is away."""
        while True:
            try:
                made = await self._sow()
            except Unavailable:
                await asyncio.sleep(random.uniform(0.5, 1))
            else:
                break
        if made:
            log.info("products seeded", **{"weft.product.count": made})

    async def check(self) -> None:
        """Depend on nothing of its own."""

    async def stop(self) -> None:
        """Have nothing in hand."""

    async def _sow(self) -> int:
        async with self._db.transaction() as tx:
            made = await store.seed(tx, seed.products())
            messages = [outgoing(product_set(each), correlation_id=each.sku) for each in made]
            await self._outbox.add(tx, *messages)
        return len(made)
