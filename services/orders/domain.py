"""The rules of an order: its events, the state that they fold into, and what it costs."""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import ClassVar, Final, Literal

import msgspec

from weft.messaging import Event

Reason = Literal["out_of_stock", "payment_declined", "timed_out"]
Status = Literal["pending", "confirmed", "rejected"]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an order, with the product's name and price (minor units) at placement."""

    sku: str
    name: str
    quantity: int
    price_minor: int


class OrderPlaced(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "OrderPlaced"
    subject: str
    items: tuple[Item, ...]
    total_minor: int
    currency: str
    payment_id: str
    trace_id: str
    synthetic: bool = False
    """Nobody ordered it: it counts in no business metric."""


class StockReserved(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "StockReserved"


class StockRejected(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "StockRejected"


class StockReleased(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "StockReleased"


class StockCommitted(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "StockCommitted"


class PaymentAuthorized(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "PaymentAuthorized"


class PaymentDeclined(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "PaymentDeclined"


class PaymentCaptured(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "PaymentCaptured"


class PaymentVoided(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "PaymentVoided"


class DeadlinePassed(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "DeadlinePassed"


class OrderConfirmed(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "OrderConfirmed"


class OrderRejected(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "OrderRejected"
    reason: Reason


OrderEvent = (
    OrderPlaced
    | StockReserved
    | StockRejected
    | StockReleased
    | StockCommitted
    | PaymentAuthorized
    | PaymentDeclined
    | PaymentCaptured
    | PaymentVoided
    | DeadlinePassed
    | OrderConfirmed
    | OrderRejected
)


EVENTS: Final[dict[str, type[OrderEvent]]] = {
    kind.message_type: kind
    for kind in (
        OrderPlaced,
        StockReserved,
        StockRejected,
        StockReleased,
        StockCommitted,
        PaymentAuthorized,
        PaymentDeclined,
        PaymentCaptured,
        PaymentVoided,
        DeadlinePassed,
        OrderConfirmed,
        OrderRejected,
    )
}


class Stock(Enum):
    """What orders knows of its reservation. `CANCELLING`: release asked for, outcome unknown.

    `PLEDGED`: reserved for a payment that is being captured, so it can only be committed.
    """

    REQUESTED = "requested"
    RESERVED = "reserved"
    REJECTED = "rejected"
    CANCELLING = "cancelling"
    RELEASING = "releasing"
    RELEASED = "released"
    PLEDGED = "pledged"
    COMMITTING = "committing"
    COMMITTED = "committed"


class Payment(Enum):
    """What orders knows of its payment. `CANCELLING`: voiding asked for, outcome unknown.

    `NONE` was not asked for yet, `NEVER` will not be.
    """

    NONE = "none"
    NEVER = "never"
    REQUESTED = "requested"
    DECLINED = "declined"
    CANCELLING = "cancelling"
    VOIDING = "voiding"
    VOIDED = "voided"
    CAPTURING = "capturing"
    CAPTURED = "captured"


# The saga. Both facets hear every event; where one has no line for it, it stays as it is. Replies
# overtake each other: a hold that is heard of after its undoing is undone once more.
STOCK: Final[dict[tuple[Stock, type[OrderEvent]], Stock]] = {
    (Stock.REQUESTED, StockReserved): Stock.RESERVED,
    (Stock.REQUESTED, StockRejected): Stock.REJECTED,
    (Stock.REQUESTED, DeadlinePassed): Stock.CANCELLING,
    (Stock.RESERVED, PaymentAuthorized): Stock.PLEDGED,
    (Stock.RESERVED, PaymentDeclined): Stock.RELEASING,
    (Stock.RESERVED, DeadlinePassed): Stock.RELEASING,
    (Stock.PLEDGED, PaymentCaptured): Stock.COMMITTING,
    (Stock.COMMITTING, StockCommitted): Stock.COMMITTED,
    (Stock.CANCELLING, StockReserved): Stock.RELEASING,
    (Stock.CANCELLING, StockRejected): Stock.REJECTED,
    (Stock.CANCELLING, StockReleased): Stock.RELEASED,
    (Stock.RELEASING, StockReleased): Stock.RELEASED,
    (Stock.RELEASED, StockReserved): Stock.RELEASING,
}
PAYMENT: Final[dict[tuple[Payment, type[OrderEvent]], Payment]] = {
    (Payment.NONE, StockReserved): Payment.REQUESTED,
    (Payment.NONE, StockRejected): Payment.NEVER,
    (Payment.NONE, DeadlinePassed): Payment.NEVER,
    (Payment.REQUESTED, PaymentAuthorized): Payment.CAPTURING,
    (Payment.REQUESTED, PaymentDeclined): Payment.DECLINED,
    (Payment.REQUESTED, DeadlinePassed): Payment.CANCELLING,
    (Payment.CAPTURING, PaymentCaptured): Payment.CAPTURED,
    (Payment.CANCELLING, PaymentAuthorized): Payment.VOIDING,
    (Payment.CANCELLING, PaymentDeclined): Payment.DECLINED,
    (Payment.CANCELLING, PaymentVoided): Payment.VOIDED,
    (Payment.VOIDING, PaymentVoided): Payment.VOIDED,
    (Payment.VOIDED, PaymentAuthorized): Payment.VOIDING,
}
FAILURES: Final[dict[type[OrderEvent], Reason]] = {
    StockRejected: "out_of_stock",
    PaymentDeclined: "payment_declined",
    DeadlinePassed: "timed_out",
}
"""What turns an order back, and why; the first reason counts."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order's state: the fold of its events."""

    placed: OrderPlaced
    stock: Stock = Stock.REQUESTED
    payment: Payment = Payment.NONE
    failure: Reason | None = None
    outcome: Literal["confirmed", "rejected"] | None = None

    @property
    def status(self) -> Status:
        return self.outcome or "pending"

    @property
    def past_pivot(self) -> bool:
        """Whether CapturePayment was sent: from there on the order only goes forward."""
        return self.payment in (Payment.CAPTURING, Payment.CAPTURED)

    @property
    def turned(self) -> bool:
        """Whether the way is clear, forward or back: the deadline means nothing any more."""
        return self.failure is not None or self.past_pivot


def replay(events: Iterable[OrderEvent]) -> Order:
    """The order that these events tell of, oldest first.

    Raises ValueError when they do not begin with OrderPlaced, or have it twice.
    """
    stream = iter(events)
    first = next(stream, None)
    if not isinstance(first, OrderPlaced):
        raise ValueError("an order's first event is OrderPlaced")  # noqa: TRY004 - the stream is wrong
    order = Order(placed=first)
    for event in stream:
        order = evolve(order, event)
    return order


def evolve(order: Order, event: OrderEvent) -> Order:
    """The order after one more event that happened."""
    match event:
        case OrderPlaced():
            raise ValueError("an order is placed once")
        case OrderConfirmed():
            return msgspec.structs.replace(order, outcome="confirmed")
        case OrderRejected():
            return msgspec.structs.replace(order, outcome="rejected")
        case _:
            kind = type(event)
            return msgspec.structs.replace(
                order,
                stock=STOCK.get((order.stock, kind), order.stock),
                payment=PAYMENT.get((order.payment, kind), order.payment),
                failure=order.failure or FAILURES.get(kind),
            )


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer asks for."""

    sku: str
    quantity: int


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """What the catalogue says of a SKU. `price_minor` in minor units of `currency`."""

    sku: str
    name: str
    price_minor: int
    currency: str


class NotSellable(Exception):
    """Lines that cannot be ordered. `errors`: (position, field, message) of each."""

    def __init__(self, errors: Sequence[tuple[int, str, str]]) -> None:
        super().__init__("the order holds lines that cannot be ordered")
        self.errors = tuple(errors)


VOLUME_DISCOUNT: Final = "volume-discount"
"""The feature flag of the pricing rule that follows."""
VOLUME: Final = 10
VOLUME_OFF: Final = 5


def volume_price(price_minor: int, quantity: int) -> int:
    """Return the price of one piece: from 10 pieces on 5 % less, rounded half up, never nothing."""
    if quantity < VOLUME:
        return price_minor
    return max(1, (price_minor * (100 - VOLUME_OFF) + 50) // 100)


def price(
    lines: Sequence[Line], catalogue: Mapping[str, Product], *, volume_discount: bool = False
) -> tuple[tuple[Item, ...], str]:
    """The lines with today's names and prices, and their one currency.

    With `volume_discount` prices are those of `volume_price`. Raises NotSellable for SKUs that the
    catalogue lacks and for lines in a second currency.
    """
    found = [catalogue.get(line.sku) for line in lines]
    currency = next((product.currency for product in found if product), "")
    errors: list[tuple[int, str, str]] = []
    items: list[Item] = []
    for position, (line, product) in enumerate(zip(lines, found, strict=True)):
        if product is None:
            errors.append((position, "sku", "is not a known SKU"))
        elif product.currency != currency:
            errors.append((position, "sku", f"is not sold in {currency}, as the others are"))
        else:
            items.append(
                Item(
                    sku=line.sku,
                    name=product.name,
                    quantity=line.quantity,
                    price_minor=(
                        volume_price(product.price_minor, line.quantity)
                        if volume_discount
                        else product.price_minor
                    ),
                )
            )
    if errors:
        raise NotSellable(errors)
    return tuple(items), currency


def total(items: Iterable[Item]) -> int:
    """What the items cost together, in minor units."""
    return sum(item.quantity * item.price_minor for item in items)
