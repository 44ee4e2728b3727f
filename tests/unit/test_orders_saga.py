from collections import Counter
from collections.abc import Sequence

import pytest

from services.orders.domain import (
    PAYMENT,
    STOCK,
    Item,
    Order,
    OrderConfirmed,
    OrderEvent,
    OrderPlaced,
    OrderRejected,
    Payment,
    Stock,
    replay,
    total,
)
from services.orders.saga import EVENTS, Reaction, Signal, Step, outstanding, place, react

PLACED = OrderPlaced(
    subject="alice",
    items=(Item(sku="SKU-0001", name="Cup", quantity=2, price_minor=625),),
    total_minor=1250,
    currency="EUR",
    payment_id="pay-1",
    trace_id="0" * 32,
)


def run(*signals: Signal) -> tuple[Order, list[OrderEvent], list[Step]]:
    """The order, all its events and all commands after these signals in this order."""
    reaction: Reaction = place(PLACED)
    events, steps = list(reaction.events), list(reaction.steps)
    for signal in signals:
        reaction = react(reaction.order, signal)
        events += reaction.events
        steps += reaction.steps
    return reaction.order, events, steps


def names(events: Sequence[OrderEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


HAPPY = (
    Signal.STOCK_RESERVED,
    Signal.PAYMENT_AUTHORIZED,
    Signal.PAYMENT_CAPTURED,
    Signal.STOCK_COMMITTED,
)


def test_an_order_whose_every_step_succeeds_is_confirmed_after_its_stock_was_committed() -> None:
    order, events, steps = run(*HAPPY)
    assert order.status == "confirmed"
    assert names(events) == [
        "OrderPlaced",
        "StockReserved",
        "PaymentAuthorized",
        "PaymentCaptured",
        "StockCommitted",
        "OrderConfirmed",
    ]
    assert steps == [
        Step.RESERVE_STOCK,
        Step.AUTHORIZE_PAYMENT,
        Step.CAPTURE_PAYMENT,
        Step.COMMIT_STOCK,
    ]
    assert outstanding(order) == ()


def test_an_order_without_stock_is_rejected_at_once_and_nothing_is_asked_of_payments() -> None:
    order, events, steps = run(Signal.STOCK_REJECTED)
    assert events[-1] == OrderRejected(reason="out_of_stock")
    assert steps == [Step.RESERVE_STOCK]
    assert outstanding(order) == ()


def test_a_declined_payment_releases_the_stock_before_the_order_is_rejected() -> None:
    order, events, steps = run(Signal.STOCK_RESERVED, Signal.PAYMENT_DECLINED)
    assert order.status == "pending"
    assert steps[-1] is Step.RELEASE_STOCK
    assert outstanding(order) == (Step.RELEASE_STOCK,)
    order, events, _ = run(Signal.STOCK_RESERVED, Signal.PAYMENT_DECLINED, Signal.STOCK_RELEASED)
    assert events[-1] == OrderRejected(reason="payment_declined")


def test_the_deadline_with_no_answer_at_all_rejects_and_asks_for_what_may_have_been_done() -> None:
    order, events, steps = run(Signal.DEADLINE_PASSED)
    assert events[-1] == OrderRejected(reason="timed_out")
    assert steps == [Step.RESERVE_STOCK, Step.RELEASE_STOCK]
    assert outstanding(order) == (Step.RELEASE_STOCK,)


def test_the_deadline_with_stock_reserved_rejects_once_that_is_released() -> None:
    before, _, steps = run(Signal.STOCK_RESERVED, Signal.DEADLINE_PASSED)
    assert before.status == "pending"
    assert steps[-2:] == [Step.RELEASE_STOCK, Step.VOID_PAYMENT]
    order, events, _ = run(Signal.STOCK_RESERVED, Signal.DEADLINE_PASSED, Signal.STOCK_RELEASED)
    assert events[-1] == OrderRejected(reason="timed_out")
    assert outstanding(order) == (Step.VOID_PAYMENT,)


def test_stock_reserved_after_the_rejection_is_released() -> None:
    order, _, steps = run(Signal.DEADLINE_PASSED, Signal.STOCK_RESERVED)
    assert order.status == "rejected"
    assert steps[-1] is Step.RELEASE_STOCK
    assert Step.AUTHORIZE_PAYMENT not in steps


@pytest.mark.parametrize("between", [(), (Signal.PAYMENT_VOIDED,)], ids=["at once", "voided"])
def test_an_authorisation_after_the_rejection_is_voided(between: tuple[Signal, ...]) -> None:
    late = (Signal.STOCK_RESERVED, Signal.DEADLINE_PASSED, Signal.STOCK_RELEASED, *between)
    order, _, steps = run(*late, Signal.PAYMENT_AUTHORIZED)
    assert order.status == "rejected"
    assert steps[-1] is Step.VOID_PAYMENT
    assert outstanding(order) == (Step.VOID_PAYMENT,)


def test_an_authorisation_between_the_deadline_and_the_rejection_holds_the_rejection_back() -> None:
    signals = (Signal.STOCK_RESERVED, Signal.DEADLINE_PASSED, Signal.PAYMENT_AUTHORIZED)
    order, _, _ = run(*signals, Signal.STOCK_RELEASED)
    assert order.status == "pending"
    order, _, _ = run(*signals, Signal.STOCK_RELEASED, Signal.PAYMENT_VOIDED)
    assert order.status == "rejected"


def test_the_deadline_after_the_pivot_changes_nothing() -> None:
    order, _, steps = run(*HAPPY[:2], Signal.DEADLINE_PASSED)
    assert order.failure is None
    assert steps[-1] is Step.CAPTURE_PAYMENT
    assert outstanding(order) == (Step.CAPTURE_PAYMENT,)


def test_a_second_reason_does_not_replace_the_first() -> None:
    _, events, _ = run(
        Signal.STOCK_RESERVED,
        Signal.DEADLINE_PASSED,
        Signal.PAYMENT_DECLINED,
        Signal.STOCK_RELEASED,
    )
    assert events[-1] == OrderRejected(reason="timed_out")


@pytest.mark.parametrize("signal", list(Signal))
def test_a_confirmed_order_ignores_every_further_signal(signal: Signal) -> None:
    order, _, _ = run(*HAPPY)
    assert react(order, signal) == Reaction(order)


@pytest.mark.parametrize("signal", [s for s in Signal if s.startswith("payment.")])
def test_an_answer_to_a_payment_that_was_never_asked_for_is_ignored(signal: Signal) -> None:
    order = place(PLACED).order
    assert react(order, signal) == Reaction(order)


@pytest.mark.parametrize("position", range(len(HAPPY)))
def test_every_answer_given_twice_counts_once(position: int) -> None:
    doubled = [*HAPPY[: position + 1], HAPPY[position], *HAPPY[position + 1 :]]
    assert run(*doubled) == run(*HAPPY)


def test_replaying_the_events_gives_the_order_they_came_from() -> None:
    order, events, _ = run(*HAPPY)
    assert replay(events) == order


def test_events_that_do_not_begin_with_a_placed_order_are_refused() -> None:
    with pytest.raises(ValueError, match="OrderPlaced"):
        replay([OrderConfirmed()])
    with pytest.raises(ValueError, match="once"):
        replay([PLACED, PLACED])


def test_the_total_counts_every_line_by_its_quantity() -> None:
    lines = [
        Item(sku="A", name="a", quantity=3, price_minor=199),
        Item(sku="B", name="b", quantity=1, price_minor=1),
    ]
    assert total(lines) == 598


def test_a_happy_order_sends_each_command_once() -> None:
    _, _, steps = run(*HAPPY)
    assert set(Counter(steps).values()) == {1}


def reachable() -> set[Order]:
    """Every state that any signals in any order can lead to."""
    found = {place(PLACED).order}
    ahead = list(found)
    while ahead:
        order = ahead.pop()
        new = {react(order, signal).order for signal in Signal} - found
        found |= new
        ahead += new
    return found


def test_every_line_of_the_tables_is_taken_by_some_order_and_leads_elsewhere() -> None:
    kinds = [type(event) for event in EVENTS.values()]
    stock = {(order.stock, kind) for order in reachable() for kind in kinds}
    payment = {(order.payment, kind) for order in reachable() for kind in kinds}
    assert set(STOCK) <= stock
    assert set(PAYMENT) <= payment
    assert all(state is not after for (state, _), after in {**STOCK, **PAYMENT}.items())


def test_stock_is_pledged_exactly_while_the_payment_is_captured() -> None:
    for order in reachable():
        assert (order.stock is Stock.PLEDGED) == (order.payment is Payment.CAPTURING), order
        sold = (Stock.COMMITTING, Stock.COMMITTED)
        assert (order.stock in sold) == (order.payment is Payment.CAPTURED), order


def test_no_pending_order_waits_for_what_nobody_repeats_or_bounds() -> None:
    for order in reachable():
        assert order.outcome or outstanding(order) or not order.turned, order
