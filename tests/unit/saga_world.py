"""The saga's world in memory, by the rules of the real services.

Every service has what its database has: state, an inbox and an outbox, which change together or not
at all. Between them messages are lost by nobody, and may come in any order and any number of times.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from services.card_provider.domain import Failing, Status, judge, settle
from services.inventory.domain import NotReserved
from services.inventory.domain import State as Reservation
from services.orders.domain import (
    Item,
    Order,
    OrderConfirmed,
    OrderEvent,
    OrderPlaced,
    OrderRejected,
)
from services.orders.saga import Reaction, Signal, Step, outstanding, place, react
from services.payments import domain as payments
from services.payments.domain import OPEN_CALL, Call, NotCapturable, Wish

Name = Literal["orders", "inventory", "payments"]
PRICE = 100
_WISHES = {
    Step.AUTHORIZE_PAYMENT: Wish.AUTHORIZE,
    Step.CAPTURE_PAYMENT: Wish.CAPTURE,
    Step.VOID_PAYMENT: Wish.VOID,
}


@dataclass(frozen=True)
class Message:
    """A command or a reply about the order called `order`; `id` is made once."""

    id: int
    to: Name
    order: int
    says: Step | Signal


@dataclass
class Stock:
    """What inventory knows of its one SKU, and of the orders that want it."""

    units: int
    reserved: int = 0
    sold: int = 0
    states: dict[int, Reservation] = field(default_factory=dict)
    quantities: dict[int, int] = field(default_factory=dict)

    def handle(self, order: int, step: Step, quantity: int) -> Signal:
        """Raises NotReserved."""
        match step:
            case Step.RESERVE_STOCK:
                self._reserve(order, quantity)
            case Step.RELEASE_STOCK:
                self._release(order)
            case _:
                self._commit(order)
        return Signal(f"stock.{self.states[order]}")

    def _reserve(self, order: int, quantity: int) -> None:
        if order in self.states:
            return
        if self.units < quantity:
            self.states[order] = Reservation.REJECTED
            return
        self.states[order], self.quantities[order] = Reservation.RESERVED, quantity
        self.units -= quantity
        self.reserved += quantity

    def _release(self, order: int) -> None:
        if self.states.setdefault(order, Reservation.RELEASED) is Reservation.RESERVED:
            self.states[order] = Reservation.RELEASED
            self.reserved -= self.quantities[order]
            self.units += self.quantities[order]

    def _commit(self, order: int) -> None:
        if self.states.get(order) is Reservation.RESERVED:
            self.states[order] = Reservation.COMMITTED
            self.reserved -= self.quantities[order]
            self.sold += self.quantities[order]
        if self.states.get(order) is not Reservation.COMMITTED:
            raise NotReserved(str(order), self.states.get(order))


@dataclass
class Card:
    """One payment at the card provider."""

    token: str
    status: Status | None = None
    calls: int = 0
    captures: int = 0

    def authorize(self) -> Status | None:
        """None where it does not answer."""
        if self.token == "tok_down":
            return None
        self.calls += 1
        if self.status is None:
            try:
                self.status = judge(self.token, self.calls).status
            except Failing:
                return None
        return self.status

    def settle(self, action: Literal["capture", "void"]) -> Status:
        before, self.status = self.status, settle(self.status, action)
        self.captures += self.status is Status.CAPTURED and before is not Status.CAPTURED
        return self.status


@dataclass
class Payment:
    """What payments knows of one payment: its state, and the open call of the provider."""

    state: payments.State | None = None
    call: Call | None = None


class World:
    """Orders, their peers, and every message and answer under way."""

    def __init__(self, units: int) -> None:
        self.initial = units
        self.stock = Stock(units)
        self.orders: list[Order] = []
        self.events: list[list[OrderEvent]] = []
        self.timers: set[int] = set()
        self.payments: list[Payment] = []
        self.cards: list[Card] = []
        self.inboxes: dict[Name, set[int]] = {
            "orders": set(),
            "inventory": set(),
            "payments": set(),
        }
        self.outboxes: dict[Name, list[Message]] = {"orders": [], "inventory": [], "payments": []}
        self.under_way: list[Message] = []
        self.answers: list[tuple[int, Status]] = []
        self._ids = 0

    def place(self, token: str, quantity: int) -> None:
        number = len(self.orders)
        placed = OrderPlaced(
            subject="alice",
            items=(Item(sku="CUP", name="Cup", quantity=quantity, price_minor=PRICE),),
            total_minor=quantity * PRICE,
            currency="EUR",
            payment_id=f"pay-{number}",
            trace_id="0" * 32,
        )
        reaction = place(placed)
        self.orders.append(reaction.order)
        self.events.append(list(reaction.events))
        self.payments.append(Payment())
        self.cards.append(Card(token))
        self.timers.add(number)
        self._send("orders", number, reaction.steps)

    def relay(self, service: Name, *, crash: bool) -> None:
        """Publish the outbox's first row; after a crash it is there still, and published again."""
        outbox = self.outboxes[service]
        self.under_way.append(outbox[0])
        if not crash:
            del outbox[0]

    def deliver(self, index: int, *, acknowledged: bool) -> None:
        """Handle a message in one transaction; if it is not acknowledged, it comes again."""
        message = self.under_way.pop(index)
        try:
            if message.id not in self.inboxes[message.to]:
                self._handle(message)
                self.inboxes[message.to].add(message.id)
        except (NotReserved, NotCapturable):
            acknowledged = False
        if not acknowledged:
            self.under_way.append(message)

    def duplicate(self, index: int) -> None:
        self.under_way.append(self.under_way[index])

    def fire(self, number: int) -> None:
        """The order's timer: its deadline, or the repetition of what has no answer."""
        self.timers.discard(number)
        order = self.orders[number]
        if not order.turned:
            self._take(number, Signal.DEADLINE_PASSED)
        elif steps := outstanding(order):
            self.timers.add(number)
            self._send("orders", number, steps)

    def call(self, number: int) -> None:
        """Make the open call of a payment; the answer is under way then, if there is one."""
        card = self.cards[number]
        match self.payments[number].call:
            case Call.AUTHORIZE:
                status = card.authorize()
            case Call.INQUIRE:
                status = card.status
            case Call.CAPTURE:
                status = card.settle("capture")
            case _:
                status = card.settle("void")
        if status is not None:
            self.answers.append((number, status))

    def decide(self, number: int) -> None:
        """The provider decides what was pending, and calls payments' webhook."""
        self.cards[number].status = Status.AUTHORIZED
        self.answers.append((number, Status.AUTHORIZED))

    def hear(self, index: int, *, again: bool) -> None:
        """Payments takes an answer of the provider; it may hear the same once more."""
        number, status = self.answers[index] if again else self.answers.pop(index)
        payment = self.payments[number]
        if status is Status.PENDING:
            if payment.call is Call.AUTHORIZE:
                payment.call = Call.INQUIRE
        elif payment.state is not None:
            self._follow(number, payments.conclude(payment.state, payments.State(status)))

    def _handle(self, message: Message) -> None:
        number, says = message.order, message.says
        if isinstance(says, Signal):
            self._take(number, says)
        elif message.to == "inventory":
            (item,) = self.orders[number].placed.items
            self._send("inventory", number, (self.stock.handle(number, says, item.quantity),))
        else:
            self._follow(number, payments.react(self.payments[number].state, _WISHES[says]))

    def _follow(self, number: int, reaction: payments.Reaction) -> None:
        payment = self.payments[number]
        if reaction.move is not None:
            payment.state, payment.call = reaction.move, OPEN_CALL.get(reaction.move)
        if reaction.answer is not None:
            self._send("payments", number, (Signal(f"payment.{reaction.answer}"),))

    def _take(self, number: int, signal: Signal) -> None:
        before = self.orders[number]
        reaction = react(before, signal)
        if reaction.events:
            self._set_timer(number, before, reaction)
            self.orders[number] = reaction.order
            self.events[number] += reaction.events
            self._send("orders", number, reaction.steps)

    def _set_timer(self, number: int, before: Order, reaction: Reaction) -> None:
        after = reaction.order
        if not after.turned:
            return
        if not outstanding(after):
            self.timers.discard(number)
        elif not (before.turned and outstanding(before)):
            self.timers.add(number)

    def _send(self, sender: Name, order: int, says: tuple[Step | Signal, ...]) -> None:
        for one in says:
            self._ids += 1
            self.outboxes[sender].append(Message(self._ids, _to(one), order, one))

    @property
    def pending(self) -> list[int]:
        """Payments that the provider has not decided."""
        return [n for n, card in enumerate(self.cards) if card.status is Status.PENDING]

    @property
    def open_calls(self) -> list[int]:
        return [n for n, payment in enumerate(self.payments) if payment.call is not None]

    def ends(self, number: int) -> int:
        kinds = (OrderConfirmed, OrderRejected)
        return sum(isinstance(event, kinds) for event in self.events[number])

    def settle(self, steps: int = 2000) -> None:
        """Everything arrives in the end; timers fire when nothing else can happen."""
        tried: Counter[int] = Counter()
        for _ in range(steps):
            if self.under_way:
                self.deliver(0, acknowledged=True)
            elif service := next((name for name, rows in self.outboxes.items() if rows), None):
                self.relay(service, crash=False)
            elif self.answers:
                self.hear(0, again=False)
            elif self.pending:
                self.decide(self.pending[0])
            elif calls := [number for number in self.open_calls if tried[number] < 3]:
                tried[calls[0]] += 1
                self.call(calls[0])
            elif self.timers:
                tried.clear()
                self.fire(min(self.timers))
            else:
                return
        raise AssertionError("the saga did not come to rest")


def _to(says: Step | Signal) -> Name:
    if isinstance(says, Signal):
        return "orders"
    return "payments" if says in _WISHES else "inventory"
