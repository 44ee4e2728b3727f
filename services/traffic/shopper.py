"""Places one order after the other through the public API, and looks each up until its end."""

import asyncio
import random
import uuid
from typing import Any, Final

import msgspec

from services.traffic.domain import RESTOCK_EVERY, SKU, STOCK, Wish, back_off, until_next, wishes
from weft.errors import Unavailable
from weft.http import HttpClient
from weft.settings import Secret
from weft.telemetry import counter, get_logger, mark_synthetic, record

FIRST_LOOK: Final = 0.4
SLOWEST_LOOK: Final = 3.0
FOLLOW_SECONDS: Final = 45.0
"""An order's own deadline is 30 s."""

log = get_logger(__name__)
_orders = counter("weft.traffic.orders", "{order}", "Orders of traffic by their end.")


class _Accepted(msgspec.Struct):
    order_id: str


class _Order(msgspec.Struct):
    status: str


class Shopper:
    """One customer with one order in hand at most; `pace` is in seconds.

    While the gateway is away or refuses, it tries again after pauses that grow.
    """

    def __init__(self, gateway: HttpClient, token: Secret, *, pace: float) -> None:
        self._gateway = gateway
        self._token = token
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
                await self._restock()
                self._until_restock = RESTOCK_EVERY
            self._until_restock -= 1
            order_id = await self._place(wish)
            call.set("weft.order.id", order_id)
            outcome = await self._end_of(order_id)
            call.set("weft.order.outcome", outcome)
        _orders.add(1, {"outcome": outcome})

    async def _restock(self) -> None:
        price = {"amount": "2.50", "currency": "EUR"}
        product = {"name": "Traffic", "price": price, "stock": STOCK}
        await self._ask("PUT", "/v1/products/{sku}", {"sku": SKU}, product)

    async def _place(self, wish: Wish) -> str:
        items = [{"sku": SKU, "quantity": wish.quantity}]
        body = {"items": items, "payment": {"token": wish.payment}}
        answer = await self._ask("POST", "/v1/orders", {}, body)
        return msgspec.json.decode(answer, type=_Accepted).order_id

    async def _end_of(self, order_id: str) -> str:
        pause = FIRST_LOOK
        try:
            async with asyncio.timeout(FOLLOW_SECONDS):
                while True:
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.6, SLOWEST_LOOK)
                    answer = await self._ask("GET", "/v1/orders/{id}", {"id": order_id})
                    order = msgspec.json.decode(answer, type=_Order)
                    if order.status != "pending":
                        return order.status
        except TimeoutError:
            raise Unavailable(
                "gateway", f"an order is pending after {FOLLOW_SECONDS:g} s"
            ) from None

    async def _ask(
        self, method: str, template: str, path: dict[str, str], body: Any = None
    ) -> bytes:
        """Return the body of a good answer; raise Unavailable for any other."""
        headers = {"Authorization": f"Bearer {self._token.reveal()}"}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        answer = await self._gateway.request(
            method, template, path=path, json=body, headers=headers
        )
        if answer.status not in range(200, 300):
            raise Unavailable("gateway", f"it answered {answer.status}")
        return answer.body

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
