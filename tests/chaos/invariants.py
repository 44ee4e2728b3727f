"""What must hold, whatever was done to the system: pure, from what was asked and what is true."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests.chaos.customers import ACCEPTED, Asked
from tests.chaos.facts import Facts

KEY_REUSED: Final = 422


@dataclass(frozen=True)
class Violation:
    """What is wrong, and with which order, where it is one."""

    what: str
    order_id: str = ""


@dataclass(frozen=True)
class Evidence:
    """What was done and what came of it.

    `initial` are units put in, `prices` in minor units, `planted` the identities of messages that
    nobody can parse, of which the broker has confirmed those in `confirmed`.
    """

    asked: Sequence[Asked]
    initial: dict[str, int]
    prices: dict[str, int]
    planted: dict[str, list[str]]
    confirmed: set[str]
    facts: Facts


@dataclass(frozen=True)
class Verdict:
    """An invariant, and where it does not hold."""

    name: str
    violations: tuple[Violation, ...]


Check = Callable[[Evidence], Iterator[Violation]]


def _every_accepted_order_is_finished(evidence: Evidence) -> Iterator[Violation]:
    for asked in evidence.asked:
        for order_id in asked.order_ids:
            order = evidence.facts.orders.get(order_id)
            if order is None:
                yield Violation("was answered 202 and does not exist", order_id)
            elif len(order.ends) != 1:
                yield Violation(f"has {len(order.ends)} ends", order_id)
            elif evidence.facts.shown.get(order_id) != order.ends[0]:
                shown = evidence.facts.shown.get(order_id, "nothing")
                yield Violation(f"is {order.ends[0]} and shown as {shown}", order_id)


def _no_order_was_not_asked_for(evidence: Evidence) -> Iterator[Violation]:
    wanted = {(asked.wish.subject, asked.wish.key): asked.wish for asked in evidence.asked}
    by_order = {order_id: key for key, order_id in evidence.facts.keys.items()}
    for order_id, order in evidence.facts.orders.items():
        wish = wanted.get(by_order.get(order_id, ("", "")))
        if wish is None:
            yield Violation("was not asked for", order_id)
            continue
        items = {item["sku"]: item["quantity"] for item in wish.body["items"]}
        total = sum(evidence.prices[sku] * quantity for sku, quantity in items.items())
        if (order.subject, order.items, order.total_minor) != (wish.subject, items, total):
            yield Violation("is not what was asked for", order_id)


def _one_order_for_each_key(evidence: Evidence) -> Iterator[Violation]:
    counted = Counter(evidence.facts.keys.values())
    for order_id, count in counted.items():
        if count > 1:
            yield Violation(f"belongs to {count} keys", order_id)
    for asked in evidence.asked:
        stored = evidence.facts.keys.get((asked.wish.subject, asked.wish.key))
        for order_id in asked.order_ids - {stored}:
            yield Violation(f"is a second order of {asked.wish.key}", order_id)
        for status in asked.changed_statuses:
            if status == ACCEPTED:
                yield Violation(f"{asked.wish.key} was taken with other content")


def _units_are_neither_lost_nor_made(evidence: Evidence) -> Iterator[Violation]:
    sold: Counter[str] = Counter()
    for order in evidence.facts.orders.values():
        if order.confirmed:
            sold.update(order.items)
    for sku, initial in evidence.initial.items():
        units = evidence.facts.units.get(sku)
        if units is None or units.sum != initial:
            yield Violation(f"{sku}: {initial} were put in, now there are {units}")
        elif units.sold != sold[sku]:
            yield Violation(f"{sku}: {units.sold} are sold, {sold[sku]} by confirmed orders")


def _no_moment_with_negative_or_missing_units(evidence: Evidence) -> Iterator[Violation]:
    seen = {sku for sku, _ in evidence.facts.history}
    for sku, initial in evidence.initial.items():
        if sku not in seen:
            yield Violation(f"{sku}: has no history")
        for of, units in evidence.facts.history:
            if of == sku and (
                min(units.stock, units.reserved, units.sold) < 0 or units.sum != initial
            ):
                yield Violation(f"{sku}: was {units} once")


def _captured_is_what_was_confirmed(evidence: Evidence) -> Iterator[Violation]:
    captured: dict[str, list[int | None]] = {}
    for entry in evidence.facts.ledger:
        if entry.status == "captured":
            captured.setdefault(entry.payment_id, []).append(entry.amount_minor)
    for order in evidence.facts.orders.values():
        found = captured.pop(order.payment_id, [])
        expected = [order.total_minor] if order.confirmed else []
        if found != expected:
            yield Violation(f"captured {found}, expected {expected}", order.order_id)
    for payment_id, amounts in captured.items():
        yield Violation(f"payment {payment_id} of no order captured {amounts}")


def _authorisations_are_captured_or_voided(evidence: Evidence) -> Iterator[Violation]:
    orders = {order.payment_id: order.order_id for order in evidence.facts.orders.values()}
    for entry in evidence.facts.ledger:
        if entry.status not in ("captured", "voided", "declined", None):
            yield Violation(f"its payment is {entry.status}", orders.get(entry.payment_id, "?"))


def _nothing_is_reserved(evidence: Evidence) -> Iterator[Violation]:
    for order_id, state in evidence.facts.reservations.items():
        order = evidence.facts.orders.get(order_id)
        expected = ("committed",) if order and order.confirmed else ("released", "rejected")
        if state not in expected:
            yield Violation(f"its reservation is {state}", order_id)
    for sku, units in evidence.facts.units.items():
        if units.reserved:
            yield Violation(f"{sku}: {units.reserved} are reserved")


def _nothing_waits(evidence: Evidence) -> Iterator[Violation]:
    for name, count in evidence.facts.waiting.items():
        if count:
            yield Violation(f"{name}: {count}")


def _no_message_is_left(evidence: Evidence) -> Iterator[Violation]:
    for name, (ready, unacknowledged) in evidence.facts.queues.items():
        if ready or unacknowledged:
            yield Violation(f"{name}: {ready} ready, {unacknowledged} unacknowledged")


def _dead_letters_are_those_planted(evidence: Evidence) -> Iterator[Violation]:
    planted = {f"{queue}.dead": ids for queue, ids in evidence.planted.items()}
    for queue, found in evidence.facts.dead.items():
        for identity in set(found) - set(planted.get(queue, ())):
            yield Violation(f"{queue}: {identity} was not planted")
    for queue, ids in planted.items():
        for identity in evidence.confirmed & set(ids) - set(evidence.facts.dead.get(queue, ())):
            yield Violation(f"{queue}: {identity} was planted and is not there")


CHECKS: Final[dict[str, Check]] = {
    "every order answered 202 is confirmed or rejected, once": _every_accepted_order_is_finished,
    "no order exists that was not asked for": _no_order_was_not_asked_for,
    "one order for each Idempotency-Key": _one_order_for_each_key,
    "units: put in = stock + reserved + sold, for every SKU": _units_are_neither_lost_nor_made,
    "units: the same at every moment, none negative": _no_moment_with_negative_or_missing_units,
    "money: captured = confirmed orders, exactly once each": _captured_is_what_was_confirmed,
    "money: every authorisation is captured or voided": _authorisations_are_captured_or_voided,
    "nothing is reserved": _nothing_is_reserved,
    "no outbox row, timer, open call or pending order": _nothing_waits,
    "no message ready or unacknowledged": _no_message_is_left,
    "dead letters: all that were planted, and no other": _dead_letters_are_those_planted,
}


def judge(evidence: Evidence) -> list[Verdict]:
    """Every invariant with its violations."""
    return [Verdict(name, tuple(check(evidence))) for name, check in CHECKS.items()]
