"""The saga that fulfils an order: pure, right under any order and duplication of replies.

Two facets of the order, stock and payment, each move through a small state machine of their own
(`domain.STOCK`, `domain.PAYMENT`; docs/saga.md draws them). A reply that comes late, twice or
overtaken either fits a facet's state or is ignored, and which commands have to be sent follows from
the states alone.
"""

from enum import StrEnum
from typing import Final

import msgspec

from services.orders.domain import (
    PAYMENT,
    STOCK,
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


EVENTS: Final[dict[Signal, OrderEvent]] = {
    Signal.STOCK_RESERVED: StockReserved(),
    Signal.STOCK_REJECTED: StockRejected(),
    Signal.STOCK_RELEASED: StockReleased(),
    Signal.STOCK_COMMITTED: StockCommitted(),
    Signal.PAYMENT_AUTHORIZED: PaymentAuthorized(),
    Signal.PAYMENT_DECLINED: PaymentDeclined(),
    Signal.PAYMENT_CAPTURED: PaymentCaptured(),
    Signal.PAYMENT_VOIDED: PaymentVoided(),
    Signal.DEADLINE_PASSED: DeadlinePassed(),
}
"""What a signal that fits is remembered as."""

STEPS: Final[dict[Stock | Payment, Step]] = {
    Stock.REQUESTED: Step.RESERVE_STOCK,
    Stock.CANCELLING: Step.RELEASE_STOCK,
    Stock.RELEASING: Step.RELEASE_STOCK,
    Stock.COMMITTING: Step.COMMIT_STOCK,
    Payment.REQUESTED: Step.AUTHORIZE_PAYMENT,
    Payment.CANCELLING: Step.VOID_PAYMENT,
    Payment.VOIDING: Step.VOID_PAYMENT,
    Payment.CAPTURING: Step.CAPTURE_PAYMENT,
}
"""The command that is sent when a state is entered."""

ONCE_ONLY: Final = frozenset({Step.RESERVE_STOCK, Step.AUTHORIZE_PAYMENT})
"""Commands that the deadline bounds; all others are repeated while their state lasts."""


def place(placed: OrderPlaced) -> Reaction:
    """A new order: its first event and the saga's first command."""
    return Reaction(Order(placed=placed), (placed,), (Step.RESERVE_STOCK,))


def react(order: Order, signal: Signal) -> Reaction:
    """What `signal` does to `order`; nothing, when it does not fit the order's state."""
    event = EVENTS[signal]
    kind = type(event)
    if (order.stock, kind) not in STOCK and (order.payment, kind) not in PAYMENT:
        return Reaction(order)
    after = evolve(order, event)
    entered = [state for state in _states(after) if state not in _states(order)]
    steps = tuple(STEPS[state] for state in entered if state in STEPS)
    end = _end_of(after)
    if end is None:
        return Reaction(after, (event,), steps)
    return Reaction(evolve(after, end), (event, end), steps)


def outstanding(order: Order) -> tuple[Step, ...]:
    """Commands without an answer that have no last attempt: the pivot and later, compensations."""
    wanted = [STEPS[state] for state in _states(order) if state in STEPS]
    return tuple(step for step in wanted if step not in ONCE_ONLY)


def _states(order: Order) -> tuple[Stock, Payment]:
    return order.stock, order.payment


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
