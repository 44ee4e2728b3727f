"""A payment's states, under whatever order of commands and answers."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments.domain import (
    OPEN_CALL,
    Call,
    NotCapturable,
    Reaction,
    State,
    Wish,
    conclude,
    react,
)

FINAL = {State.DECLINED, State.CAPTURED, State.VOIDED}
ANSWERS = {State.AUTHORIZED, State.DECLINED, State.CAPTURED, State.VOIDED}
ALLOWED = {
    None: {State.REQUESTED, State.VOIDED},
    State.REQUESTED: {State.AUTHORIZED, State.DECLINED, State.VOIDED, State.VOIDING},
    State.AUTHORIZED: {State.CAPTURING, State.VOIDING},
    State.CAPTURING: {State.CAPTURED},
    State.VOIDING: {State.VOIDED},
}


def test_a_payment_is_authorised_then_captured() -> None:
    assert react(None, Wish.AUTHORIZE) == Reaction(move=State.REQUESTED)
    assert OPEN_CALL[State.REQUESTED] is Call.AUTHORIZE
    authorized = Reaction(move=State.AUTHORIZED, answer=State.AUTHORIZED)
    assert conclude(State.REQUESTED, State.AUTHORIZED) == authorized
    assert react(State.AUTHORIZED, Wish.CAPTURE) == Reaction(move=State.CAPTURING)
    captured = Reaction(move=State.CAPTURED, answer=State.CAPTURED)
    assert conclude(State.CAPTURING, State.CAPTURED) == captured


def test_a_void_before_the_authorisation_is_remembered() -> None:
    voided = Reaction(move=State.VOIDED, answer=State.VOIDED)
    assert react(None, Wish.VOID) == voided
    assert react(State.VOIDED, Wish.AUTHORIZE) == Reaction(answer=State.VOIDED)


def test_a_void_gives_an_open_authorisation_up_and_its_late_answer_counts_for_nothing() -> None:
    assert react(State.REQUESTED, Wish.VOID) == Reaction(move=State.VOIDING)
    assert conclude(State.VOIDING, State.AUTHORIZED) == Reaction()
    assert conclude(State.VOIDING, State.VOIDED).move is State.VOIDED


def test_a_void_of_what_was_declined_is_answered_at_once() -> None:
    assert react(State.DECLINED, Wish.VOID) == Reaction(answer=State.VOIDED)
    assert conclude(State.VOIDING, State.DECLINED).move is State.VOIDED


def test_what_is_captured_is_not_voided() -> None:
    assert react(State.CAPTURING, Wish.VOID) == Reaction()
    assert react(State.CAPTURED, Wish.VOID) == Reaction(answer=State.CAPTURED)


@pytest.mark.parametrize(
    "state", [None, State.REQUESTED, State.DECLINED, State.VOIDING, State.VOIDED]
)
def test_only_an_authorised_payment_can_be_captured(state: State | None) -> None:
    with pytest.raises(NotCapturable):
        react(state, Wish.CAPTURE)


@pytest.mark.parametrize("state", sorted(FINAL | {State.AUTHORIZED}))
def test_a_command_sent_again_is_answered_with_where_the_payment_stands(state: State) -> None:
    assert react(state, Wish.AUTHORIZE) == Reaction(answer=state)


@given(st.lists(st.sampled_from([*Wish, *sorted(ANSWERS)]), max_size=30))
def test_any_order_of_signals_goes_only_allowed_ways(signals: list[Wish | State]) -> None:
    way: list[State | None] = [None]
    for signal in signals:
        reaction = _signal(way[-1], signal)
        if reaction.move is not None:
            way.append(reaction.move)
        if reaction.answer is not None:
            assert reaction.answer in ANSWERS
    for before, after in pairwise(way):
        assert after in ALLOWED.get(before, set())


def _signal(state: State | None, signal: Wish | State) -> Reaction:
    if isinstance(signal, State):
        return Reaction() if state is None else conclude(state, signal)
    try:
        return react(state, signal)
    except NotCapturable:
        return Reaction()
