"""The saga at work: each signal becomes, in one transaction, events, commands and timers."""

import time
from collections.abc import Sequence
from typing import Final

from services.orders import messages, store
from services.orders.domain import (
    EVENTS,
    Order,
    OrderConfirmed,
    OrderEvent,
    OrderPlaced,
    OrderRejected,
    replay,
)
from services.orders.saga import Reaction, Signal, Step, outstanding, place, react
from weft.messaging import Command, Event, Outgoing, outgoing
from weft.postgres import Deadlines, EventLog, Outbox, StoredEvent, Transaction
from weft.telemetry import counter, get_logger, histogram

STREAM_KIND: Final = "order"
TIMER: Final = "order"

log = get_logger(__name__)
_orders = counter("weft.orders", "{order}", "Finished orders, by outcome and reason.")
_repeats = counter("weft.saga.repeats", "{command}", "Commands sent again for want of an answer.")
_duration = histogram(
    "weft.order.duration",
    "s",
    "Time from an order's acceptance to its end.",
    (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)


class Fulfilment:
    """Takes orders from placement to their end.

    `deadline` is the seconds that an order has until the pivot, `repeat` those between two attempts
    at a step that has no last attempt.
    """

    def __init__(
        self,
        events: EventLog,
        outbox: Outbox,
        deadlines: Deadlines,
        *,
        deadline: float,
        repeat: float,
    ) -> None:
        self._events = events
        self._outbox = outbox
        self._deadlines = deadlines
        self._deadline = deadline
        self._repeat = repeat

    async def place(self, tx: Transaction, order_id: str, placed: OrderPlaced, token: str) -> None:
        """Accept an order: from here on it comes to an end by itself."""
        await self._append(tx, order_id, 0, place(placed))
        await store.insert(tx, order_id, placed, token)
        await self._deadlines.set(tx, TIMER, order_id, due_in=self._deadline)

    async def signal(
        self, tx: Transaction, order_id: str, signal: Signal, *, payment_id: str | None = None
    ) -> None:
        """Take a reply. One that fits nothing is logged and has no effect."""
        stored = await self._events.read(tx, order_id)
        order = replay(decoded(stored)) if stored else None
        if order is None or payment_id not in (None, order.placed.payment_id):
            log.warning("reply for no order of ours", **{"weft.order.id": order_id})
            return
        await self._take(tx, order_id, stored, order, signal)

    async def due(self, tx: Transaction, order_id: str) -> None:
        """The order's timer: its deadline, or the time to repeat what has no answer."""
        stored = await self._events.read(tx, order_id)
        order = replay(decoded(stored))
        if order.turned:
            await self._send_again(tx, order_id, order)
        else:
            await self._take(tx, order_id, stored, order, Signal.DEADLINE_PASSED)

    async def _take(
        self,
        tx: Transaction,
        order_id: str,
        stored: Sequence[StoredEvent],
        order: Order,
        signal: Signal,
    ) -> None:
        reaction = react(order, signal)
        if not reaction.events:
            facts = {"weft.order.id": order_id, "weft.saga.signal": signal.value}
            log.info("reply does not fit the order, ignored", **facts)
            return
        # The timer's row is locked before the stream's, as when the timer fires: no deadlock.
        await self._set_timer(tx, order_id, order, reaction.order)
        await self._append(tx, order_id, len(stored), reaction)
        if reaction.order.status != order.status:
            await store.finish(tx, order_id, reaction.order)
            tx.on_commit(lambda: _finished(order_id, reaction.order, time.time() - stored[0].at))

    async def _send_again(self, tx: Transaction, order_id: str, order: Order) -> None:
        steps = outstanding(order)
        if not steps:
            return
        await self._deadlines.set(tx, TIMER, order_id, due_in=self._repeat)
        await self._outbox.add(tx, *await _outgoing(tx, order_id, order, steps), key=order_id)
        for step in steps:
            log.warning("step repeated", **{"weft.order.id": order_id, "weft.saga.step": step})
            _repeats.add(1, {"weft.saga.step": step})

    async def _append(
        self, tx: Transaction, order_id: str, version: int, reaction: Reaction
    ) -> None:
        await self._events.append(
            tx,
            order_id,
            kind=STREAM_KIND,
            expected=version,
            events=reaction.events,
            messages=await _outgoing(tx, order_id, reaction.order, reaction.steps, reaction.events),
        )

    async def _set_timer(self, tx: Transaction, order_id: str, before: Order, after: Order) -> None:
        """One row: the deadline until the order has turned, then the repetition, then none."""
        if not after.turned:
            return
        if not outstanding(after):
            await self._deadlines.cancel(tx, TIMER, order_id)
        elif not (before.turned and outstanding(before)):
            await self._deadlines.set(tx, TIMER, order_id, due_in=self._repeat)


def decoded(stored: Sequence[StoredEvent]) -> list[OrderEvent]:
    """Return the events of a stream in today's classes."""
    return [event.decode(EVENTS[event.type]) for event in stored]


async def _outgoing(
    tx: Transaction,
    order_id: str,
    order: Order,
    steps: Sequence[Step],
    events: Sequence[OrderEvent] = (),
) -> list[Outgoing]:
    commands = [await _command(tx, order_id, order.placed, step) for step in steps]
    told = [_announcement(order_id, order.placed, event) for event in events]
    said = (*commands, *(event for event in told if event is not None))
    return [outgoing(message, correlation_id=order_id) for message in said]


async def _command(tx: Transaction, order_id: str, placed: OrderPlaced, step: Step) -> Command:
    match step:
        case Step.RESERVE_STOCK:
            items = [messages.StockItem(sku=i.sku, quantity=i.quantity) for i in placed.items]
            return messages.ReserveStock(order_id=order_id, items=items)
        case Step.RELEASE_STOCK:
            return messages.ReleaseStock(order_id=order_id)
        case Step.COMMIT_STOCK:
            return messages.CommitStock(order_id=order_id)
        case Step.AUTHORIZE_PAYMENT:
            return messages.AuthorizePayment(
                order_id=order_id,
                payment_id=placed.payment_id,
                amount_minor=placed.total_minor,
                currency=placed.currency,
                token=await store.take_token(tx, order_id),
            )
        case Step.CAPTURE_PAYMENT:
            return messages.CapturePayment(order_id=order_id, payment_id=placed.payment_id)
        case Step.VOID_PAYMENT:
            return messages.VoidPayment(order_id=order_id, payment_id=placed.payment_id)


def _announcement(order_id: str, placed: OrderPlaced, event: OrderEvent) -> Event | None:
    """What the world is told of an event, if anything."""
    subject, total, currency = placed.subject, placed.total_minor, placed.currency
    match event:
        case OrderPlaced():
            return messages.OrderPlaced(
                order_id=order_id, subject=subject, total_minor=total, currency=currency
            )
        case OrderConfirmed():
            return messages.OrderConfirmed(
                order_id=order_id, subject=subject, total_minor=total, currency=currency
            )
        case OrderRejected(reason=reason):
            return messages.OrderRejected(order_id=order_id, subject=subject, reason=reason)
        case _:
            return None


def _finished(order_id: str, order: Order, seconds: float) -> None:
    labels: dict[str, str] = {"outcome": order.status}
    if order.failure:
        labels["reason"] = order.failure
    if not order.placed.synthetic:
        _orders.add(1, labels)
        _duration.record(seconds, {"outcome": order.status})
    log.info(
        "order finished",
        **{
            "weft.order.id": order_id,
            "weft.order.outcome": order.status,
            "weft.order.reason": order.failure,
            "weft.order.duration": round(seconds, 6),
            "user.id": order.placed.subject,
            "weft.synthetic": order.placed.synthetic or None,
        },
    )
