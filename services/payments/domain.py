"""The rules of a payment: pure, and right whatever comes late, twice or overtaken.

A payment's state is told by its last event. What has to be asked of the card provider follows from
the state alone, so that after a crash the open calls are known.
"""

from enum import StrEnum
from typing import Final

import msgspec

MAX_AMOUNT_MINOR: Final = 99_999_999_900_000
"""100 items, 1000 of each, at 9,999,999.99."""


class State(StrEnum):
    """Where a payment stands. Declined, captured and voided are final."""

    REQUESTED = "requested"
    AUTHORIZED = "authorized"
    DECLINED = "declined"
    CAPTURING = "capturing"
    CAPTURED = "captured"
    VOIDING = "voiding"
    VOIDED = "voided"


class Wish(StrEnum):
    """What orders can ask for."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"


class Call(StrEnum):
    """What can be asked of the card provider. `inquire`: how a pending authorisation ended."""

    AUTHORIZE = "authorize"
    INQUIRE = "inquire"
    CAPTURE = "capture"
    VOID = "void"


class NotCapturable(Exception):
    """A payment can be captured once it is authorised."""

    def __init__(self, state: State | None) -> None:
        super().__init__(f"the payment is {state or 'unknown'}")


class Reaction(msgspec.Struct, frozen=True):
    """What follows: the state to move to, and the state to answer with; None for neither."""

    move: State | None = None
    answer: State | None = None


OPEN_CALL: Final = {
    State.REQUESTED: Call.AUTHORIZE,
    State.CAPTURING: Call.CAPTURE,
    State.VOIDING: Call.VOID,
}
"""The call that a state waits for."""

_NOTHING: Final = Reaction()

_OUTCOMES: Final = {
    (State.REQUESTED, State.AUTHORIZED): State.AUTHORIZED,
    (State.REQUESTED, State.DECLINED): State.DECLINED,
    (State.REQUESTED, State.VOIDED): State.VOIDED,
    (State.CAPTURING, State.CAPTURED): State.CAPTURED,
    (State.VOIDING, State.VOIDED): State.VOIDED,
    (State.VOIDING, State.DECLINED): State.VOIDED,
}


def react(state: State | None, wish: Wish) -> Reaction:
    """Return what follows from a command; None is an unknown payment. Raises NotCapturable."""
    match wish:
        case Wish.AUTHORIZE:
            return _authorize(state)
        case Wish.CAPTURE:
            return _capture(state)
        case Wish.VOID:
            return _void(state)


def conclude(state: State, outcome: State) -> Reaction:
    """Return what follows from the provider's word; nothing where it comes late or twice."""
    after = _OUTCOMES.get((state, outcome))
    return Reaction(move=after, answer=after)


def _authorize(state: State | None) -> Reaction:
    if state is None:
        return Reaction(move=State.REQUESTED)
    return _NOTHING if state in OPEN_CALL else Reaction(answer=state)


def _capture(state: State | None) -> Reaction:
    if state is State.AUTHORIZED:
        return Reaction(move=State.CAPTURING)
    if state is State.CAPTURING:
        return _NOTHING
    if state is State.CAPTURED:
        return Reaction(answer=State.CAPTURED)
    raise NotCapturable(state)


def _void(state: State | None) -> Reaction:
    match state:
        case None:
            return Reaction(move=State.VOIDED, answer=State.VOIDED)
        case State.REQUESTED | State.AUTHORIZED:
            return Reaction(move=State.VOIDING)
        case State.VOIDING | State.CAPTURING:
            return _NOTHING
        case State.CAPTURED:
            return Reaction(answer=State.CAPTURED)
        case State.DECLINED | State.VOIDED:
            return Reaction(answer=State.VOIDED)
