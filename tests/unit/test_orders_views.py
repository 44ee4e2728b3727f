import msgspec
import pytest

from services.orders.domain import (
    Item,
    OrderConfirmed,
    OrderEvent,
    OrderPlaced,
    OrderRejected,
    PaymentDeclined,
    StockReserved,
    replay,
)
from services.orders.views import OrderView, view
from weft.postgres import StoredEvent

PLACED = OrderPlaced(
    subject="alice",
    items=(Item(sku="SKU-0001", name="Cup", quantity=2, price_minor=5),),
    total_minor=10,
    currency="EUR",
    payment_id="pay-1",
    trace_id="ab" * 16,
)


def seen(*events: OrderEvent) -> OrderView:
    stored = [
        StoredEvent(
            position=number,
            stream="order-1",
            version=number,
            type=event.message_type,
            schema_version=1,
            data=msgspec.json.encode(event),
            meta={},
            at=1_700_000_000.25 + number,
        )
        for number, event in enumerate(events)
    ]
    return view("order-1", replay(events), stored)


def test_amounts_have_two_places() -> None:
    shown = seen(PLACED)
    assert (shown.total.amount, shown.total.currency) == ("0.10", "EUR")
    assert shown.items[0].price.amount == "0.05"


def test_times_are_in_utc_with_their_offset() -> None:
    shown = msgspec.json.decode(msgspec.json.encode(seen(PLACED)))
    assert shown["events"] == [{"type": "OrderPlaced", "at": "2023-11-14T22:13:20.250000Z"}]
    assert shown["placed_at"] == "2023-11-14T22:13:20.250000Z"
    assert shown["finished_at"] is None


def test_an_order_on_its_way_back_is_pending_and_tells_no_reason_yet() -> None:
    shown = seen(PLACED, StockReserved(), PaymentDeclined())
    assert (shown.status, shown.reason) == ("pending", None)


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        (OrderConfirmed(), "confirmed", None),
        (OrderRejected(reason="payment_declined"), "rejected", "payment_declined"),
    ],
)
def test_a_finished_order_tells_how_and_when_it_ended(
    end: OrderEvent, status: str, reason: str | None
) -> None:
    way = (StockReserved(), PaymentDeclined()) if reason else (StockReserved(),)
    shown = seen(PLACED, *way, end)
    assert (shown.status, shown.reason) == (status, reason)
    assert shown.finished_at == shown.events[-1].at
