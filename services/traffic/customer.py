"""A customer of the public API who nobody is: orders, or asks for a report, until its end."""

import asyncio
import uuid
from collections.abc import Collection
from datetime import date, timedelta
from typing import Any, Final

import msgspec

from weft.errors import Unavailable
from weft.http import HttpClient
from weft.settings import Secret

FIRST_LOOK: Final = 0.4
SLOWEST_LOOK: Final = 3.0


class _Accepted(msgspec.Struct):
    order_id: str


class _Asked(msgspec.Struct):
    report_id: str


class _State(msgspec.Struct):
    status: str


class Customer:
    """Asks the gateway with a token of the scope synthetic. Each call raises Unavailable, or
    msgspec.DecodeError, for whatever is not a good answer."""

    def __init__(self, gateway: HttpClient, token: Secret) -> None:
        self._gateway = gateway
        self._token = token

    async def stock_up(self, sku: str, name: str, stock: int) -> None:
        """Put a product in, or its stock anew."""
        price = {"amount": "2.50", "currency": "EUR"}
        product = {"name": name, "price": price, "stock": stock}
        await self._ask("PUT", "/v1/products/{sku}", {"sku": sku}, product)

    async def place(self, sku: str, quantity: int, payment: str) -> str:
        """Place an order; return its id."""
        items = [{"sku": sku, "quantity": quantity}]
        body = {"items": items, "payment": {"token": payment}}
        answer = await self._ask("POST", "/v1/orders", {}, body)
        return msgspec.json.decode(answer, type=_Accepted).order_id

    async def end_of(self, order_id: str, seconds: float) -> str:
        """Return the status with which an order ended, within so many seconds.

        A look that fails is no news; the next may be answered.
        """
        return await self._end_of("/v1/orders/{id}", order_id, ("pending",), seconds)

    async def ask_report(self, day: date, *, priority: int) -> str:
        """Ask for a report of one day; return its id."""
        body = {
            "kind": "sales",
            "from": day,
            "to": day + timedelta(days=1),
            "format": "csv",
            "priority": priority,
        }
        answer = await self._ask("POST", "/v1/reports", {}, body)
        return msgspec.json.decode(answer, type=_Asked).report_id

    async def end_of_report(self, report_id: str, seconds: float) -> str:
        """Return the status with which a report ended, within so many seconds."""
        return await self._end_of("/v1/reports/{id}", report_id, ("queued", "running"), seconds)

    async def fetch_report(self, report_id: str) -> bytes:
        """Return what a report holds."""
        return await self._ask("GET", "/v1/reports/{id}/download", {"id": report_id})

    async def cancel_report(self, report_id: str) -> None:
        """Cancel a report."""
        await self._ask("DELETE", "/v1/reports/{id}", {"id": report_id})

    async def _end_of(
        self, template: str, identity: str, open_: Collection[str], seconds: float
    ) -> str:
        pause, seen = FIRST_LOOK, ""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.6, SLOWEST_LOOK)
                    try:
                        answer = await self._ask("GET", template, {"id": identity})
                    except Unavailable as error:
                        seen = error.why
                        continue
                    seen = msgspec.json.decode(answer, type=_State).status
                    if seen not in open_:
                        return seen
        except TimeoutError:
            raise Unavailable("gateway", f"no end after {seconds:g} s: {seen}") from None

    async def _ask(
        self, method: str, template: str, path: dict[str, str], body: Any = None
    ) -> bytes:
        headers = {"Authorization": f"Bearer {self._token.reveal()}"}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        answer = await self._gateway.request(
            method, template, path=path, json=body, headers=headers
        )
        if answer.status not in range(200, 300):
            raise Unavailable("gateway", f"it answered {answer.status}")
        return answer.body
