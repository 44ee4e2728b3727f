"""The saga against peers, a network and crashes as hypothesis likes."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.card_provider.domain import Status
from services.orders.domain import (
    Item,
    OrderConfirmed,
    OrderPlaced,
    OrderRejected,
    replay,
)
from services.orders.saga import Signal, Step, place, react
from tests.unit.saga_world import PRICE, World

PLACED = OrderPlaced(
    subject="alice",
    items=(Item(sku="SKU-0001", name="Cup", quantity=1, price_minor=100),),
    total_minor=100,
    currency="EUR",
    payment_id="pay-1",
    trace_id="0" * 32,
)


TOKENS = ("tok_ok", "tok_declined", "tok_flaky", "tok_async", "tok_down")
MOST_ORDERS = 3
number = st.integers(0, 1000)


class Interleavings(RuleBasedStateMachine):
    """A few orders for the last units of one product. Each rule is one thing that can happen."""

    @initialize(units=st.integers(0, 6))
    def open_shop(self, units: int) -> None:
        self.world = World(units)

    @precondition(lambda self: len(self.world.orders) < MOST_ORDERS)
    @rule(token=st.sampled_from(TOKENS), quantity=st.integers(1, 3))
    def place(self, token: str, quantity: int) -> None:
        self.world.place(token, quantity)

    @precondition(lambda self: any(self.world.outboxes.values()))
    @rule(pick=number, crash=st.booleans())
    def relay(self, pick: int, *, crash: bool) -> None:
        names = [name for name, rows in self.world.outboxes.items() if rows]
        self.world.relay(names[pick % len(names)], crash=crash)

    @precondition(lambda self: self.world.under_way)
    @rule(pick=number, acknowledged=st.booleans())
    def deliver(self, pick: int, *, acknowledged: bool) -> None:
        self.world.deliver(pick % len(self.world.under_way), acknowledged=acknowledged)

    @precondition(lambda self: self.world.under_way)
    @rule(pick=number)
    def duplicate(self, pick: int) -> None:
        self.world.duplicate(pick % len(self.world.under_way))

    @precondition(lambda self: self.world.timers)
    @rule(pick=number)
    def fire_timer(self, pick: int) -> None:
        timers = sorted(self.world.timers)
        self.world.fire(timers[pick % len(timers)])

    @precondition(lambda self: self.world.open_calls)
    @rule(pick=number)
    def call_provider(self, pick: int) -> None:
        calls = self.world.open_calls
        self.world.call(calls[pick % len(calls)])

    @precondition(lambda self: self.world.pending)
    @rule(pick=number)
    def provider_decides(self, pick: int) -> None:
        pending = self.world.pending
        self.world.decide(pending[pick % len(pending)])

    @precondition(lambda self: self.world.answers)
    @rule(pick=number, again=st.booleans())
    def hear_provider(self, pick: int, *, again: bool) -> None:
        self.world.hear(pick % len(self.world.answers), again=again)

    @precondition(lambda self: self.world.answers)
    @rule(pick=number)
    def crash_before_the_answer_is_recorded(self, pick: int) -> None:
        del self.world.answers[pick % len(self.world.answers)]

    @rule()
    def nothing_happens(self) -> None:
        """There is something to choose even when all orders have come to rest."""

    @invariant()
    def units_are_neither_lost_nor_made_and_never_negative(self) -> None:
        stock = self.world.stock
        assert stock.units + stock.reserved + stock.sold == self.world.initial
        assert min(stock.units, stock.reserved, stock.sold) >= 0

    @invariant()
    def an_order_ends_once_and_is_what_its_events_tell(self) -> None:
        for of, order in enumerate(self.world.orders):
            assert self.world.ends(of) == (order.outcome is not None)
            assert replay(self.world.events[of]) == order

    @invariant()
    def money_is_taken_once_and_never_for_a_rejected_order(self) -> None:
        for order, card in zip(self.world.orders, self.world.cards, strict=True):
            assert card.captures <= 1
            assert not (card.captures and order.status == "rejected")

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.settle()
        sold = 0
        for order, card in zip(self.world.orders, self.world.cards, strict=True):
            confirmed = order.status == "confirmed"
            assert order.status != "pending"
            assert card.captures == confirmed
            assert card.status is Status.CAPTURED or not confirmed
            assert card.status not in (Status.PENDING, Status.AUTHORIZED)
            sold += confirmed * order.placed.total_minor // PRICE
        assert (self.world.stock.sold, self.world.stock.reserved) == (sold, 0)
        self.units_are_neither_lost_nor_made_and_never_negative()
        self.an_order_ends_once_and_is_what_its_events_tell()


def test_whatever_the_order_of_messages_an_order_ends_once_and_leaves_nothing_held() -> None:
    bounds = settings(max_examples=40, stateful_step_count=50, deadline=None)
    run_state_machine_as_test(Interleavings, settings=bounds)


@given(
    token=st.sampled_from(["tok_ok", "tok_flaky", "tok_async"]),
    script=st.lists(st.tuples(number, st.booleans()), max_size=40),
)
@settings(deadline=None)
def test_with_stock_and_money_and_no_deadline_every_interleaving_confirms(
    token: str, script: list[tuple[int, bool]]
) -> None:
    world = World(1)
    world.place(token, 1)
    for pick, flag in script:
        if world.under_way:
            world.deliver(pick % len(world.under_way), acknowledged=flag)
        elif names := [name for name, rows in world.outboxes.items() if rows]:
            world.relay(names[pick % len(names)], crash=flag)
    world.settle()
    assert world.orders[0].status == "confirmed"


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
