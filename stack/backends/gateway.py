"""The system's public door: orders and products for a customer, the inbox for an operator."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from datetime import datetime

import aiohttp
import msgspec

from stack.backends.http import Answer, BackendRefused, HttpBackend

_FIRST_POLL = 0.1
_SLOWEST_POLL = 1.0


class OrderEvent(msgspec.Struct, frozen=True):
    """One thing that happened to an order; `at` as the service wrote it (RFC 3339)."""

    type: str
    at: str


class Order(msgspec.Struct, frozen=True):
    """An order as its customer sees it."""

    order_id: str
    status: str
    reason: str | None = None
    events: list[OrderEvent] = []
    trace_id: str | None = None

    @property
    def finished(self) -> bool:
        return self.status != "pending"


class Placed(msgspec.Struct, frozen=True):
    """The answer to an accepted order."""

    order_id: str
    trace_id: str


class Product(msgspec.Struct, frozen=True):
    """A product's sellable stock, and what is held for orders in progress."""

    sku: str
    stock: int
    reserved: int


class Notice(msgspec.Struct, frozen=True):
    """What people were told of alerts: `status` is firing or resolved."""

    at: datetime
    status: str
    title: str


class _Inbox(msgspec.Struct):
    notices: list[Notice]


class _Accepted(msgspec.Struct):
    order_id: str


class _Problem(msgspec.Struct):
    title: str = ""
    detail: str | None = None
    errors: list[dict[str, str]] = []


class Gateway(HttpBackend):
    """A client of the gateway for one token, which is never shown in an error."""

    def __init__(self, url: str, session: aiohttp.ClientSession, *, token: str) -> None:
        super().__init__("gateway", url, session)
        self._headers = {"Authorization": f"Bearer {token}"}

    async def place(self, sku: str, quantity: int, payment: str) -> Placed:
        """Place an order for one SKU, paid with a payment token such as `tok_ok`.

        BackendRefused carries what the problem document says.
        """
        answer = await self.call(
            "POST",
            "/v1/orders",
            headers={**self._headers, "Idempotency-Key": str(uuid.uuid4())},
            json={"items": [{"sku": sku, "quantity": quantity}], "payment": {"token": payment}},
        )
        accepted = _expect(answer, 202).decode(_Accepted)
        return Placed(accepted.order_id, answer.headers.get("x-trace-id", ""))

    async def order(self, order_id: str) -> Order:
        """Return the order as it is now."""
        answer = await self.call("GET", f"/v1/orders/{order_id}", headers=self._headers)
        return _expect(answer, 200).decode(Order)

    async def follow(self, order_id: str, *, deadline: float = 60.0) -> AsyncIterator[Order]:
        """Yield the order each time it has new events, until it is finished or `deadline` s pass.

        The order may be unknown for a moment after it was accepted: that is waited for too.
        """
        end = time.monotonic() + deadline
        pause, seen = _FIRST_POLL, -1
        while time.monotonic() < end:
            order = await self._known(order_id)
            if order is not None and (order.finished or len(order.events) != seen):
                seen = len(order.events)
                yield order
                if order.finished:
                    return
                pause = _FIRST_POLL
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _SLOWEST_POLL)

    async def product(self, sku: str) -> Product:
        """Return a product's numbers."""
        answer = await self.call("GET", f"/v1/products/{sku}", headers=self._headers)
        return _expect(answer, 200).decode(Product)

    async def inbox(self) -> list[Notice]:
        """Return the newest messages to people; the token has the scope `ops`."""
        headers = {**self._headers, "Accept": "application/json"}
        answer = await self.call("GET", "/ops/inbox", headers=headers)
        return _expect(answer, 200).decode(_Inbox).notices

    async def _known(self, order_id: str) -> Order | None:
        try:
            return await self.order(order_id)
        except BackendRefused as refused:
            if refused.status != 404:  # noqa: PLR2004 - not found
                raise
            return None


def _expect(answer: Answer, status: int) -> Answer:
    if answer.status == status:
        return answer
    raise BackendRefused(answer.name, answer.status, _explain(answer.body))


def _explain(body: bytes) -> str:
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.DecodeError:
        return body.decode(errors="replace")
    fields = [f"{error.get('path', '')}: {error.get('message', '')}" for error in problem.errors]
    return "; ".join(part for part in (problem.title, problem.detail, *fields) if part)
