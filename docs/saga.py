"""Draws the saga's tables and diagrams in docs/saga.md from services/orders.

    python docs/saga.py

What stands between a line `<!-- NAME -->` and the next `<!-- end -->` is replaced.
"""  # noqa: INP001 - a script

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

from services.orders.domain import (
    FAILURES,
    PAYMENT,
    STOCK,
    DeadlinePassed,
    OrderEvent,
    Payment,
    Stock,
)
from services.orders.saga import EVENTS, ONCE_ONLY, STEPS, Step

PAGE: Final = Path(__file__).with_suffix(".md")
SIGNALS: Final = {type(event): signal for signal, event in EVENTS.items()}

State = TypeVar("State", Stock, Payment)
Table = Mapping[tuple[State, type[OrderEvent]], State]


def diagram(table: Table[State], first: State) -> str:
    """Return a Mermaid state diagram; a state that sends a command names it."""
    states = dict.fromkeys([first, *(state for state, _ in table), *table.values()])
    leaving = {state for state, _ in table}
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first.value}"]
    lines += [f"    {state.value} : {_titled(state)}" for state in states if state in STEPS]
    lines += [
        f"    {state.value} --> {after.value} : {kind.__name__}"
        for (state, kind), after in table.items()
    ]
    lines += [f"    {state.value} --> [*]" for state in states if state not in leaving]
    return "\n".join([*lines, "```"])


def transitions(table: Table[State]) -> str:
    """Return the table of a facet."""
    return _markdown(
        ("state", "signal", "event kept", "next state", "command sent"),
        (
            (state.value, f"`{SIGNALS[kind]}`", kind.__name__, after.value, _sent(after))
            for (state, kind), after in table.items()
        ),
    )


def compensation() -> str:
    """Return for every step what undoes it, and how often it is sent."""
    undoing = {step: _undone_by(step) for step in Step}
    compensations = {step for step in undoing.values() if step}
    return _markdown(
        ("step", "undone by", "sent"),
        (
            (
                f"`{step}`",
                _undone(undoing[step], is_compensation=step in compensations),
                "once: the deadline bounds it" if step in ONCE_ONLY else "until answered",
            )
            for step in Step
        ),
    )


def failures() -> str:
    """Return what rejects an order, and the reason that it gets."""
    return _markdown(
        ("signal", "reason"),
        ((f"`{SIGNALS[kind]}`", f"`{reason}`") for kind, reason in FAILURES.items()),
    )


def render(page: str) -> str:
    """Return the page with its drawn parts as the code has them now."""
    drawn = {
        "stock diagram": diagram(STOCK, Stock.REQUESTED),
        "stock table": transitions(STOCK),
        "payment diagram": diagram(PAYMENT, Payment.NONE),
        "payment table": transitions(PAYMENT),
        "compensation": compensation(),
        "failures": failures(),
    }
    return re.sub(
        r"<!-- ([a-z ]+) -->\n.*?<!-- end -->",
        lambda found: f"<!-- {found[1]} -->\n{drawn[found[1]]}\n<!-- end -->",
        page,
        flags=re.DOTALL,
    )


def _undone_by(step: Step) -> Step | None:
    """Return the command that follows when the deadline passes while `step` has no answer."""
    asked = [state for state, sent in STEPS.items() if sent is step]
    both: dict[tuple[Enum, type[OrderEvent]], Stock | Payment] = {**STOCK, **PAYMENT}
    after = [both[state, DeadlinePassed] for state in asked if (state, DeadlinePassed) in both]
    return next((STEPS[state] for state in after), None)


def _undone(undoing: Step | None, *, is_compensation: bool) -> str:
    if undoing:
        return f"`{undoing}`"
    return "nothing: it undoes" if is_compensation else "nothing: from the pivot on, only forward"


def _titled(state: Stock | Payment) -> str:
    return f"{state.value} / {STEPS[state]}"


def _sent(state: Stock | Payment) -> str:
    return f"`{STEPS[state]}`" if state in STEPS else ""


def _markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
