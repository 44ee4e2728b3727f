"""Sales facts: the read model of reports, projected from the event log."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from services.orders import store
from services.orders.domain import OrderConfirmed, OrderPlaced
from weft.postgres import Database, EventLog, Projection, StoredEvent, Transaction

NAME: Final = "sales"
TABLE: Final = "sales"
EVERY: Final = 0.5
"""Seconds between two small batches: reports need not be younger, and batches cost less."""


def projection(db: Database, log: EventLog) -> Projection:
    """Return the component that keeps the sales facts."""
    return Projection(db, NAME, Sales(log).apply, tables=[TABLE], interval=EVERY)


class Sales:
    """Turns each OrderConfirmed into a sale for each line of its order, if somebody ordered it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def apply(self, tx: Transaction, events: Sequence[StoredEvent], generation: int) -> None:
        """Write the sales of the orders that `events` confirm."""
        confirmed = {
            event.stream: event.at for event in events if event.type == OrderConfirmed.message_type
        }
        if not confirmed:
            return
        first = await self._log.first(tx, list(confirmed))
        placed = {order_id: event.decode(OrderPlaced) for order_id, event in first.items()}
        sales = [
            sale
            for order_id, at in confirmed.items()
            if not placed[order_id].synthetic
            for sale in _sales(order_id, placed[order_id], at)
        ]
        if sales:
            await store.insert_sales(tx, generation, sales)


def _sales(order_id: str, placed: OrderPlaced, at: float) -> Iterator[store.Sale]:
    for line, item in enumerate(placed.items, 1):
        yield store.Sale(
            order_id=order_id,
            line=line,
            sold_at=datetime.fromtimestamp(at, UTC),
            sku=item.sku,
            name=item.name,
            quantity=item.quantity,
            price_minor=item.price_minor,
            currency=placed.currency,
        )
