"""The saga against peers and a network that reorder, duplicate and delay as hypothesis likes."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders.domain import (
    Item,
    Order,
    OrderConfirmed,
    OrderEvent,
    OrderPlaced,
    OrderRejected,
    replay,
)
from services.orders.saga import Reaction, Signal, Step, outstanding, place, react

PLACED = OrderPlaced(
    subject="alice",
    items=(Item(sku="SKU-0001", name="Cup", quantity=1, price_minor=100),),
    total_minor=100,
    currency="EUR",
    payment_id="pay-1",
    trace_id="0" * 32,
)


@dataclass
class Inventory:
    """Idempotent by order, as the real one: what was ended is never reserved again."""

    has_stock: bool
    reservation: str | None = None

    def handle(self, step: Step) -> Signal:
        if step is Step.RESERVE_STOCK:
            if self.reservation is None:
                self.reservation = "reserved" if self.has_stock else "rejected"
            held = self.reservation == "reserved"
            return Signal.STOCK_RESERVED if held else Signal.STOCK_REJECTED
        if step is Step.RELEASE_STOCK:
            assert self.reservation != "committed", "released what was sold"
            self.reservation = "released"
            return Signal.STOCK_RELEASED
        assert self.reservation in ("reserved", "committed"), "committed what was not reserved"
        self.reservation = "committed"
        return Signal.STOCK_COMMITTED


@dataclass
class Payments:
    """Idempotent by payment, as the real one: what was voided is never authorised again."""

    accepts: bool
    payment: str | None = None

    def handle(self, step: Step) -> Signal:
        if step is Step.AUTHORIZE_PAYMENT:
            if self.payment is None:
                self.payment = "authorized" if self.accepts else "declined"
            held = self.payment in ("authorized", "captured")
            return Signal.PAYMENT_AUTHORIZED if held else Signal.PAYMENT_DECLINED
        if step is Step.VOID_PAYMENT:
            assert self.payment != "captured", "voided what was captured"
            self.payment = "voided"
            return Signal.PAYMENT_VOIDED
        assert self.payment in ("authorized", "captured"), "captured what was not authorised"
        self.payment = "captured"
        return Signal.PAYMENT_CAPTURED


@dataclass
class World:
    """One order, its peers, and every message under way."""

    inventory: Inventory
    payments: Payments
    order: Order = field(default_factory=lambda: place(PLACED).order)
    events: list[OrderEvent] = field(default_factory=lambda: [PLACED])
    under_way: list[Step | Signal] = field(default_factory=lambda: [Step.RESERVE_STOCK])

    def deliver(self, index: int, *, keep: bool) -> None:
        message = self.under_way[index] if keep else self.under_way.pop(index)
        if isinstance(message, Signal):
            self.take(react(self.order, message))
        elif message in (Step.RESERVE_STOCK, Step.RELEASE_STOCK, Step.COMMIT_STOCK):
            self.under_way.append(self.inventory.handle(message))
        else:
            self.under_way.append(self.payments.handle(message))

    def take(self, reaction: Reaction) -> None:
        self.order = reaction.order
        self.events += reaction.events
        self.under_way += reaction.steps

    def settle(self) -> None:
        """Everything arrives in the end, and the endless steps are repeated until answered."""
        for _ in range(1000):
            if self.under_way:
                self.deliver(0, keep=False)
            elif outstanding(self.order):
                self.under_way += outstanding(self.order)
            elif self.order.status == "pending":
                self.take(react(self.order, Signal.DEADLINE_PASSED))
            else:
                return
        pytest.fail("the saga did not come to rest")


moves = st.lists(
    st.tuples(
        st.sampled_from(["deliver", "deliver", "duplicate", "deadline", "repeat"]), st.integers(0)
    ),
    max_size=40,
)


def play(world: World, script: list[tuple[str, int]]) -> None:
    for move, number in script:
        if move == "deadline":
            world.take(react(world.order, Signal.DEADLINE_PASSED))
        elif move == "repeat":
            world.under_way += outstanding(world.order)
        elif world.under_way:
            world.deliver(number % len(world.under_way), keep=move == "duplicate")
    world.settle()


@given(has_stock=st.booleans(), accepts=st.booleans(), script=moves)
def test_whatever_the_order_of_messages_an_order_ends_once_and_leaves_nothing_held(
    *, has_stock: bool, accepts: bool, script: list[tuple[str, int]]
) -> None:
    world = World(Inventory(has_stock), Payments(accepts))
    play(world, script)
    ends = [event for event in world.events if isinstance(event, OrderConfirmed | OrderRejected)]
    assert len(ends) == 1
    assert replay(world.events) == world.order
    if world.order.status == "confirmed":
        assert (world.inventory.reservation, world.payments.payment) == ("committed", "captured")
    else:
        assert world.inventory.reservation not in ("reserved", "committed")
        assert world.payments.payment not in ("authorized", "captured")


@given(script=moves.filter(lambda script: all(move != "deadline" for move, _ in script)))
def test_with_stock_and_money_and_no_deadline_every_interleaving_confirms(
    script: list[tuple[str, int]],
) -> None:
    world = World(Inventory(has_stock=True), Payments(accepts=True))
    play(world, script)
    assert world.order.status == "confirmed"


@given(signals=st.lists(st.sampled_from(list(Signal)), max_size=30))
def test_no_sequence_of_signals_however_senseless_breaks_the_saga(signals: list[Signal]) -> None:
    order, events = place(PLACED).order, [*place(PLACED).events]
    steps = list(place(PLACED).steps)
    for signal in signals:
        reaction = react(order, signal)
        order = reaction.order
        events += reaction.events
        steps += reaction.steps
    assert replay(events) == order
    assert sum(isinstance(event, OrderConfirmed | OrderRejected) for event in events) <= 1
    assert not {Step.CAPTURE_PAYMENT, Step.VOID_PAYMENT} <= set(steps)
    assert not {Step.COMMIT_STOCK, Step.RELEASE_STOCK} <= set(steps)
