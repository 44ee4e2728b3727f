"""The invariants of a chaos run see what they are there for."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.customers import Asked, Wish
from tests.chaos.facts import Entry, Facts, Order, Units
from tests.chaos.invariants import CHECKS, Evidence, judge

PLACED = ("OrderPlaced", "2026-01-01T00:00:00+00:00")
CONFIRMED = ("OrderConfirmed", "2026-01-01T00:00:01+00:00")
REJECTED = ("OrderRejected", "2026-01-01T00:00:02+00:00")


def order(order_id: str, quantity: int, *events: tuple[str, str]) -> Order:
    return Order(
        order_id=order_id,
        subject="alice",
        items={"CUP": quantity},
        total_minor=quantity * 100,
        payment_id=f"payment-of-{order_id}",
        trace_id="0" * 32,
        events=(PLACED, *events),
    )


def asked(key: str, order_id: str, quantity: int) -> Asked:
    body = {"items": [{"sku": "CUP", "quantity": quantity}], "payment": {"token": "tok_ok"}}
    return Asked(Wish("alice", key, "retries", body), [202], {order_id})


def good() -> Evidence:
    """One order confirmed, one rejected, one message planted."""
    facts = Facts(
        orders={"one": order("one", 2, CONFIRMED), "two": order("two", 5, REJECTED)},
        keys={("alice", "k1"): "one", ("alice", "k2"): "two"},
        shown={"one": "confirmed", "two": "rejected"},
        units={"CUP": Units(8, 0, 2)},
        history=[("CUP", Units(10, 0, 0)), ("CUP", Units(8, 2, 0)), ("CUP", Units(8, 0, 2))],
        reservations={"one": "committed", "two": "released"},
        ledger=[
            Entry("payment-of-one", 200, "captured"),
            Entry("payment-of-two", 500, "voided"),
        ],
        waiting={"outbox rows of orders": 0},
        queues={"orders.events": (0, 0)},
        dead={"orders.events.dead": ["planted", "planted"]},
    )
    return Evidence(
        asked=[asked("k1", "one", 2), asked("k2", "two", 5)],
        initial={"CUP": 10},
        prices={"CUP": 100},
        planted={"orders.events": ["planted"]},
        confirmed={"planted"},
        facts=facts,
    )


def broken(evidence: Evidence) -> set[str]:
    return {verdict.name for verdict in judge(evidence) if verdict.violations}


def test_they_hold_where_all_is_well() -> None:
    assert broken(good()) == set()


def ledger(*entries: Entry) -> Callable[[Evidence], None]:
    def change(evidence: Evidence) -> None:
        evidence.facts.ledger = list(entries)

    return change


def events(order_id: str, *kinds: tuple[str, str]) -> Callable[[Evidence], None]:
    def change(evidence: Evidence) -> None:
        orders = evidence.facts.orders
        orders[order_id] = replace(orders[order_id], events=(PLACED, *kinds))

    return change


CAPTURED = Entry("payment-of-one", 200, "captured")
VOIDED = Entry("payment-of-two", 500, "voided")
FINISHED, ASKED, KEYS, UNITS, HISTORY, MONEY, HELD, RESERVED, WAITING, MESSAGES, DEAD = CHECKS


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (FINISHED, lambda e: e.facts.orders.pop("two")),
        (FINISHED, events("two")),
        (FINISHED, events("two", REJECTED, REJECTED)),
        (FINISHED, lambda e: e.facts.shown.pop("one")),
        (FINISHED, lambda e: e.facts.shown.update(one="pending")),
        (ASKED, lambda e: e.facts.orders.update(three=order("three", 1, REJECTED))),
        (ASKED, lambda e: e.facts.keys.pop(("alice", "k1"))),
        (ASKED, lambda e: e.asked[1].wish.body["items"][0].update(quantity=4)),
        (KEYS, lambda e: e.asked[0].order_ids.add("two")),
        (KEYS, lambda e: e.facts.keys.update({("alice", "k3"): "one"})),
        (KEYS, lambda e: e.asked[0].changed_statuses.append(202)),
        (UNITS, lambda e: e.facts.units.update(CUP=Units(7, 0, 2))),
        (UNITS, lambda e: e.facts.units.update(CUP=Units(7, 0, 3))),
        (UNITS, lambda e: e.facts.units.clear()),
        (HISTORY, lambda e: e.facts.history.append(("CUP", Units(-1, 9, 2)))),
        (HISTORY, lambda e: e.facts.history.append(("CUP", Units(8, 1, 2)))),
        (HISTORY, lambda e: e.facts.history.clear()),
        (MONEY, ledger(VOIDED)),
        (MONEY, ledger(CAPTURED, CAPTURED, VOIDED)),
        (MONEY, ledger(replace(CAPTURED, amount_minor=201), VOIDED)),
        (MONEY, ledger(CAPTURED, replace(VOIDED, status="captured"))),
        (MONEY, ledger(CAPTURED, VOIDED, Entry("nobody's", 1, "captured"))),
        (HELD, ledger(CAPTURED, replace(VOIDED, status="authorized"))),
        (HELD, ledger(CAPTURED, replace(VOIDED, status="pending"))),
        (RESERVED, lambda e: e.facts.reservations.update(two="reserved")),
        (RESERVED, lambda e: e.facts.reservations.update(one="released")),
        (RESERVED, lambda e: e.facts.units.update(CUP=Units(7, 1, 2))),
        (WAITING, lambda e: e.facts.waiting.update({"timers of orders": 1})),
        (MESSAGES, lambda e: e.facts.queues.update({"orders.events": (0, 1)})),
        (MESSAGES, lambda e: e.facts.queues.update({"orders.events": (1, 0)})),
        (DEAD, lambda e: e.facts.dead["orders.events.dead"].append("innocent")),
        (DEAD, lambda e: e.facts.dead.update({"payments.commands.dead": ["innocent"]})),
        (DEAD, lambda e: e.facts.dead.clear()),
    ],
)
def test_an_invariant_sees_what_breaks_it(name: str, change: Callable[[Evidence], None]) -> None:
    evidence = copy.deepcopy(good())
    change(evidence)
    assert name in broken(evidence)


def test_a_message_that_the_broker_never_confirmed_may_be_missing_or_dead() -> None:
    evidence = replace(good(), planted={"orders.events": ["planted", "unsure"]})
    assert broken(evidence) == set()
    evidence.facts.dead["orders.events.dead"].append("unsure")
    assert broken(evidence) == set()


def test_a_violation_names_the_order() -> None:
    evidence = good()
    events("two")(evidence)
    (verdict,) = (verdict for verdict in judge(evidence) if verdict.name == FINISHED)
    assert [violation.order_id for violation in verdict.violations] == ["two"]
