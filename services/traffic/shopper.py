"""Places one order after the other through the public API, and follows each to its end."""

import asyncio
import random
from typing import Final

import msgspec

from services.traffic.customer import Customer
from services.traffic.domain import RESTOCK_EVERY, SKU, STOCK, Wish, back_off, until_next, wishes
from weft.errors import Unavailable
from weft.telemetry import counter, get_logger, mark_synthetic, record

FOLLOW_SECONDS: Final = 45.0
"""An order's own deadline is 30 s."""

log = get_logger(__name__)
_orders = counter("weft.traffic.orders", "{order}", "Orders of traffic by their end.")


class Shopper:
    """One customer with one order in hand at most; `pace` is in seconds.

    While the gateway is away or refuses, it tries again after pauses that grow.
    """

    def __init__(self, customer: Customer, *, pace: float) -> None:
        self._customer = customer
        self._pace = pace
        self._wishes = wishes()
        self._until_restock = 0
        self._failures = 0

    async def run(self) -> None:
        """Order, again and again."""
        clock = asyncio.get_running_loop().time
        mark_synthetic()
        while True:
            due = clock() + until_next(self._pace, random.random())
            try:
                await self._shop(next(self._wishes))
            except (Unavailable, msgspec.DecodeError) as error:
                await asyncio.sleep(self._failed(error))
            else:
                self._succeeded()
                await asyncio.sleep(max(0.0, due - clock()))

    async def _shop(self, wish: Wish) -> None:
        with record.internal("shop") as call:
            call.set("weft.synthetic", True)
            if self._until_restock == 0:
                await self._customer.stock_up(SKU, "Traffic", STOCK)
                self._until_restock = RESTOCK_EVERY
            self._until_restock -= 1
            order_id = await self._customer.place(SKU, wish.quantity, wish.payment)
            call.set("weft.order.id", order_id)
            outcome = await self._customer.end_of(order_id, FOLLOW_SECONDS)
            call.set("weft.order.outcome", outcome)
        _orders.add(1, {"outcome": outcome})

    def _failed(self, error: Exception) -> float:
        """Return how long to wait; say so the first time."""
        self._failures += 1
        self._until_restock = 0
        if self._failures == 1:
            log.warning("traffic pauses", **{"weft.why": str(error)})
        return back_off(self._failures, random.random())

    def _succeeded(self) -> None:
        if self._failures:
            log.info("traffic goes on")
        self._failures = 0
