"""Orders as callers see them."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from services.orders.domain import Item, Order, OrderConfirmed, OrderRejected, Reason, Status
from services.orders.store import Summary
from weft.postgres import StoredEvent

_ENDS = (OrderConfirmed.message_type, OrderRejected.message_type)


class Money(msgspec.Struct, frozen=True):
    """A decimal number with two places, and its ISO 4217 code."""

    amount: str
    currency: str


class ItemView(msgspec.Struct, frozen=True, kw_only=True):
    sku: str
    name: str
    quantity: int
    price: Money


class EventView(msgspec.Struct, frozen=True):
    type: str
    at: datetime


class OrderSummary(msgspec.Struct, frozen=True, kw_only=True):
    order_id: str
    status: Status
    reason: Reason | None
    items: list[ItemView]
    total: Money
    placed_at: datetime
    finished_at: datetime | None
    trace_id: str


class OrderView(OrderSummary, frozen=True, kw_only=True):
    events: list[EventView]


class OperatorsOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as an operator sees it: whose it is, and not what is in it."""

    order_id: str
    subject: str
    status: Status
    reason: Reason | None
    total: Money
    placed_at: datetime
    finished_at: datetime | None
    trace_id: str


class OperatorsOrders(msgspec.Struct, frozen=True):
    orders: list[OperatorsOrder]


class OrderList(msgspec.Struct, frozen=True):
    orders: list[OrderSummary]
    next: str | None


def view(order_id: str, order: Order, stored: Sequence[StoredEvent]) -> OrderView:
    """Return an order with its events, all that is stored of it."""
    placed = order.placed
    return OrderView(
        order_id=order_id,
        status=order.status,
        reason=order.failure if order.outcome else None,
        items=_items(placed.items, placed.currency),
        total=_money(placed.total_minor, placed.currency),
        events=[EventView(event.type, _time(event.at)) for event in stored],
        placed_at=_time(stored[0].at),
        finished_at=_finished_at(stored),
        trace_id=placed.trace_id,
    )


def _finished_at(stored: Sequence[StoredEvent]) -> datetime | None:
    ends = (e.at for e in stored if e.type in _ENDS)
    end = next(ends, None)
    return None if end is None else _time(end)


def summary(order: Summary) -> OrderSummary:
    """Return an order as a list shows it."""
    return OrderSummary(
        order_id=order.order_id,
        status=order.status,
        reason=order.reason,
        items=_items(order.items, order.currency),
        total=_money(order.total_minor, order.currency),
        placed_at=order.placed_at,
        finished_at=order.finished_at,
        trace_id=order.trace_id,
    )


def operators(subject: str, order: Summary) -> OperatorsOrder:
    """Return an order as an operator sees it."""
    return OperatorsOrder(
        order_id=order.order_id,
        subject=subject,
        status=order.status,
        reason=order.reason,
        total=_money(order.total_minor, order.currency),
        placed_at=order.placed_at,
        finished_at=order.finished_at,
        trace_id=order.trace_id,
    )


def _items(items: tuple[Item, ...], currency: str) -> list[ItemView]:
    return [
        ItemView(
            sku=item.sku,
            name=item.name,
            quantity=item.quantity,
            price=_money(item.price_minor, currency),
        )
        for item in items
    ]


def _money(minor: int, currency: str) -> Money:
    return Money(f"{minor // 100}.{minor % 100:02d}", currency)


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
