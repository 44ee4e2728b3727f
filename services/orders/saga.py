"""The saga that fulfils an order: pure, right under any order and duplication of replies.

Two facets of the order, stock and payment, each move through a small state machine of their own.
Which commands have to be sent follows from the facets' states alone, so that a reply that comes
late, twice or overtaken either fits a facet's state or is ignored.
"""

from enum import StrEnum
from typing import Final

import msgspec

from services.orders.domain import (
    DeadlinePassed,
    Order,
    OrderConfirmed,
    OrderEvent,
    OrderPlaced,
    OrderRejected,
    Payment,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentVoided,
    Stock,
    StockCommitted,
    StockRejected,
    StockReleased,
    StockReserved,
    evolve,
)


class Signal(StrEnum):
    """What can happen to a saga from outside: a reply, or a deadline."""

    STOCK_RESERVED = "stock.reserved"
    STOCK_REJECTED = "stock.rejected"
    STOCK_RELEASED = "stock.released"
    STOCK_COMMITTED = "stock.committed"
    PAYMENT_AUTHORIZED = "payment.authorized"
    PAYMENT_DECLINED = "payment.declined"
    PAYMENT_CAPTURED = "payment.captured"
    PAYMENT_VOIDED = "payment.voided"
    DEADLINE_PASSED = "deadline.passed"


class Step(StrEnum):
    """A command that the saga wants sent."""

    RESERVE_STOCK = "ReserveStock"
    RELEASE_STOCK = "ReleaseStock"
    COMMIT_STOCK = "CommitStock"
    AUTHORIZE_PAYMENT = "AuthorizePayment"
    CAPTURE_PAYMENT = "CapturePayment"
    VOID_PAYMENT = "VoidPayment"


class Reaction(msgspec.Struct, frozen=True):
    """What follows from a signal: events to append, commands to send, and the state after them."""

    order: Order
    events: tuple[OrderEvent, ...] = ()
    steps: tuple[Step, ...] = ()


_STOCK_STEP: Final = {
    Stock.REQUESTED: Step.RESERVE_STOCK,
    Stock.CANCELLING: Step.RELEASE_STOCK,
    Stock.RELEASING: Step.RELEASE_STOCK,
    Stock.COMMITTING: Step.COMMIT_STOCK,
}
_PAYMENT_STEP: Final = {
    Payment.REQUESTED: Step.AUTHORIZE_PAYMENT,
    Payment.CANCELLING: Step.VOID_PAYMENT,
    Payment.VOIDING: Step.VOID_PAYMENT,
    Payment.CAPTURING: Step.CAPTURE_PAYMENT,
}
_ONCE_ONLY: Final = frozenset({Step.RESERVE_STOCK, Step.AUTHORIZE_PAYMENT})

# Replies overtake each other: a hold that is heard of after its undoing is undone once more.
_FITS: Final[dict[Signal, tuple[frozenset[Stock | Payment], OrderEvent]]] = {
    Signal.STOCK_RESERVED: (
        frozenset({Stock.REQUESTED, Stock.CANCELLING, Stock.RELEASED}),
        StockReserved(),
    ),
    Signal.STOCK_REJECTED: (frozenset({Stock.REQUESTED, Stock.CANCELLING}), StockRejected()),
    Signal.STOCK_RELEASED: (frozenset({Stock.RELEASING, Stock.CANCELLING}), StockReleased()),
    Signal.STOCK_COMMITTED: (frozenset({Stock.COMMITTING}), StockCommitted()),
    Signal.PAYMENT_AUTHORIZED: (
        frozenset({Payment.REQUESTED, Payment.CANCELLING, Payment.VOIDED}),
        PaymentAuthorized(),
    ),
    Signal.PAYMENT_DECLINED: (
        frozenset({Payment.REQUESTED, Payment.CANCELLING}),
        PaymentDeclined(),
    ),
    Signal.PAYMENT_CAPTURED: (frozenset({Payment.CAPTURING}), PaymentCaptured()),
    Signal.PAYMENT_VOIDED: (frozenset({Payment.VOIDING, Payment.CANCELLING}), PaymentVoided()),
}


def place(placed: OrderPlaced) -> Reaction:
    """A new order: its first event and the saga's first command."""
    return Reaction(Order(placed=placed), (placed,), (Step.RESERVE_STOCK,))


def react(order: Order, signal: Signal) -> Reaction:
    """What `signal` does to `order`; nothing, when it does not fit the order's state."""
    event = _event_for(order, signal)
    if event is None:
        return Reaction(order)
    after = evolve(order, event)
    steps = _steps_between(order, after)
    end = _end_of(after)
    if end is None:
        return Reaction(after, (event,), steps)
    return Reaction(evolve(after, end), (event, end), steps)


def outstanding(order: Order) -> tuple[Step, ...]:
    """Commands without an answer that have no last attempt: the pivot and later, compensations."""
    wanted = (_STOCK_STEP.get(order.stock), _PAYMENT_STEP.get(order.payment))
    return tuple(step for step in wanted if step is not None and step not in _ONCE_ONLY)


def _event_for(order: Order, signal: Signal) -> OrderEvent | None:
    if signal is Signal.DEADLINE_PASSED:
        return None if order.turned else DeadlinePassed()
    states, event = _FITS[signal]
    return event if order.stock in states or order.payment in states else None


def _steps_between(before: Order, after: Order) -> tuple[Step, ...]:
    stock = _STOCK_STEP.get(after.stock) if after.stock is not before.stock else None
    payment = _PAYMENT_STEP.get(after.payment) if after.payment is not before.payment else None
    return tuple(step for step in (stock, payment) if step is not None)


def _end_of(order: Order) -> OrderEvent | None:
    """The event that finishes the order now, if one does.

    An unanswered request does not hold the rejection back: its undoing stays outstanding, and an
    effect heard of later is undone then.
    """
    if order.outcome:
        return None
    if order.stock is Stock.COMMITTED:
        return OrderConfirmed()
    if (
        order.failure
        and order.stock is not Stock.RELEASING
        and order.payment is not Payment.VOIDING
    ):
        return OrderRejected(reason=order.failure)
    return None
