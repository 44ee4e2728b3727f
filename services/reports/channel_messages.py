"""What becomes of an order, told to its user."""

from typing import Any, ClassVar

from services.reports.channel import Channel
from weft.messaging import Event, Incoming
from weft.postgres import Handlers, Transaction


class OrderPlaced(Event, frozen=True, kw_only=True):
    """Said by orders. Total in minor units."""

    message_type: ClassVar[str] = "order.placed"
    order_id: str
    subject: str
    total_minor: int
    currency: str


class OrderConfirmed(Event, frozen=True, kw_only=True):
    """Said by orders. Total in minor units."""

    message_type: ClassVar[str] = "order.confirmed"
    order_id: str
    subject: str
    total_minor: int
    currency: str


class OrderRejected(Event, frozen=True, kw_only=True):
    """Said by orders."""

    message_type: ClassVar[str] = "order.rejected"
    order_id: str
    subject: str
    reason: str


def register(take: Handlers, channel: Channel) -> None:
    """Handle what orders says of its orders."""

    async def tell(
        tx: Transaction, event: OrderPlaced | OrderConfirmed | OrderRejected, data: dict[str, Any]
    ) -> None:
        await channel.publish(
            tx, user=event.subject, type=event.message_type, id=event.order_id, data=data
        )

    @take.on(OrderPlaced)
    async def placed(tx: Transaction, event: OrderPlaced, _: Incoming) -> None:
        total = _money(event.total_minor, event.currency)
        await tell(tx, event, {"status": "pending", "total": total})

    @take.on(OrderConfirmed)
    async def confirmed(tx: Transaction, event: OrderConfirmed, _: Incoming) -> None:
        total = _money(event.total_minor, event.currency)
        await tell(tx, event, {"status": "confirmed", "total": total})

    @take.on(OrderRejected)
    async def rejected(tx: Transaction, event: OrderRejected, _: Incoming) -> None:
        await tell(tx, event, {"status": "rejected", "reason": event.reason})


def _money(minor: int, currency: str) -> dict[str, str]:
    return {"amount": f"{minor // 100}.{minor % 100:02d}", "currency": currency}
