"""What a run came to, for people and for programs."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from tests.chaos.run import Outcome

SHOWN: Final = 20
"""Violations of one invariant that the text has; the JSON file has all."""


def text(outcome: Outcome) -> str:
    """The report as a page of text."""
    return "\n".join(_lines(outcome)) + "\n"


def document(outcome: Outcome) -> dict[str, Any]:
    """The report as JSON: the schedule as it was injected, the sums, every violation."""
    return {
        "seed": outcome.plan.seed,
        "plan": asdict(outcome.plan),
        "faults": [
            {**asdict(one.fault), "injected_at": one.at, "note": one.note, "failed": one.failed}
            for one in outcome.injected
        ],
        "kills": kills(outcome),
        "restarts": outcome.restarts,
        "orders": orders(outcome),
        "answers": dict(Counter(str(s) for asked in outcome.asked for s in asked.statuses)),
        "up_after_s": outcome.up_after,
        "settled_after_s": outcome.settled_after,
        "unsettled": outcome.unsettled,
        "invariants": {
            verdict.name: [
                {**asdict(violation), **_order(outcome, violation.order_id)}
                for violation in verdict.violations
            ]
            for verdict in outcome.verdicts
        },
        "held": outcome.held,
    }


def save(outcome: Outcome, folder: Path) -> Path:
    """Write report.txt and report.json into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.txt").write_text(text(outcome), encoding="utf-8")
    (folder / "report.json").write_text(
        json.dumps(document(outcome), indent=2, default=str) + "\n", encoding="utf-8"
    )
    return folder / "report.txt"


def kills(outcome: Outcome) -> int:
    """Processes that were killed."""
    killing = (one for one in outcome.injected if one.fault.kind.startswith("kill"))
    return sum(len(one.fault.targets) for one in killing if not one.failed)


def orders(outcome: Outcome) -> dict[str, int]:
    """How many orders were asked for, accepted, known, and how they ended."""
    ends = Counter(
        order.ends[0] if len(order.ends) == 1 else "no end"
        for order in outcome.facts.orders.values()
    )
    reused = sum(len(asked.statuses) - 1 for asked in outcome.asked if asked.statuses)
    return {
        "asked for": len(outcome.asked),
        "accepted": sum(bool(asked.order_ids) for asked in outcome.asked),
        "in the event log": len(outcome.facts.orders),
        **dict(sorted(ends.items())),
        "requests with a used key": reused,
    }


def _lines(outcome: Outcome) -> Iterator[str]:
    plan = outcome.plan
    yield f"chaos: seed {plan.seed}, {plan.seconds:g} s, {plan.rate:g} orders a second"
    yield ""
    yield f"{'fault':<22}{'target':<42}{'count':>6}{'failed':>8}"
    counted = Counter((one.fault.kind, ", ".join(one.fault.targets)) for one in outcome.injected)
    failed = Counter(
        (one.fault.kind, ", ".join(one.fault.targets)) for one in outcome.injected if one.failed
    )
    for (kind, targets), count in sorted(counted.items()):
        lost = failed[kind, targets]
        yield f"{kind:<22}{targets:<42}{count - lost:>6}{lost or '':>8}"
    yield f"{'processes killed':<64}{kills(outcome):>6}"
    yield ""
    for name, count in orders(outcome).items():
        yield f"orders {name}: {count}"
    yield f"everything up again after: {_seconds(outcome.up_after)}"
    yield f"all settled after: {_seconds(outcome.settled_after)}"
    yield from (f"still under way: {name}: {n}" for name, n in outcome.unsettled.items())
    yield ""
    for verdict in outcome.verdicts:
        broken = len(verdict.violations)
        yield f"{'holds' if not broken else f'BROKEN {broken}':<12}{verdict.name}"
        for violation in verdict.violations[:SHOWN]:
            yield f"    {violation.order_id} {violation.what}".rstrip()
            order = outcome.facts.orders.get(violation.order_id)
            if order is not None:
                yield f"        trace {order.trace_id}"
                yield from (f"        {at} {kind}" for kind, at in order.events)
    yield ""
    yield "nothing lost, nothing twice" if outcome.held else "NOT ALL IS WELL"


def _order(outcome: Outcome, order_id: str) -> dict[str, Any]:
    order = outcome.facts.orders.get(order_id)
    return {} if order is None else {"trace_id": order.trace_id, "events": order.events}


def _seconds(value: float | None) -> str:
    return "not in time" if value is None else f"{value:.1f} s"
