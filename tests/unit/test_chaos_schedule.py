"""The faults of a chaos run follow from its seed."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chaos.customers import wishes
from tests.chaos.run import Plan
from tests.chaos.schedule import KILLED, LONG, SHORT, Pace, schedule

few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32)
PRINTED = [
    (12.837, "kill two", ("card_provider", "inventory")),
    (18.402, "late replies", ("inventory",)),
    (33.905, "kill", ("card_provider",)),
    (49.387, "pause", ("orders",)),
]


@few
@given(seed=seeds, minutes=st.integers(1, 15))
def test_the_same_seed_gives_the_same_faults_at_the_same_offsets(seed: int, minutes: int) -> None:
    assert schedule(seed, minutes * 60) == schedule(seed, minutes * 60)


def test_the_schedule_of_a_seed_stays_what_it_was_when_it_was_printed() -> None:
    faults = [(fault.at, fault.kind, fault.targets) for fault in schedule(7, 60)]
    assert faults == PRINTED


def test_another_seed_gives_other_faults() -> None:
    assert len({tuple(schedule(seed, 120)) for seed in range(20)}) == 20


@few
@given(seed=seeds)
def test_a_short_run_kills_each_process_once_and_two_at_once(seed: int) -> None:
    kills = [fault for fault in schedule(seed, 33, SHORT) if fault.kind.startswith("kill")]
    assert {fault.targets[0] for fault in kills if fault.kind == "kill"} == set(KILLED)
    assert any(len(set(fault.targets)) == 2 for fault in kills if fault.kind == "kill two")


@few
@given(seed=seeds)
def test_ten_minutes_hold_every_kind_and_at_least_twenty_kills(seed: int) -> None:
    faults = schedule(seed, 600)
    assert {fault.kind for fault in faults} == {
        *("kill", "kill two", "pause", "late replies", "memory alarm", "connections dropped"),
        *("full queue", "delivered twice", "reordered", "unparsable"),
    }
    assert sum(len(fault.targets) for fault in faults if fault.kind.startswith("kill")) >= 20


@pytest.mark.parametrize("pace", [LONG, SHORT])
@few
@given(seed=seeds, seconds=st.floats(1, 900))
def test_no_fault_outlasts_the_run_and_none_comes_before_it(
    pace: Pace, seed: int, seconds: float
) -> None:
    faults = schedule(seed, seconds, pace)
    assert all(fault.at >= 0 and fault.at + fault.seconds <= seconds for fault in faults)
    assert faults == sorted(faults, key=lambda fault: fault.at)


def test_replies_are_held_back_for_longer_than_an_order_may_take() -> None:
    late = [fault.seconds for fault in schedule(1, 600) if fault.kind == "late replies"]
    assert late
    assert min(late) > Plan(1, 600).deadline


@few
@given(seed=seeds)
def test_the_same_seed_gives_the_same_customers(seed: int) -> None:
    first, second = wishes(seed), wishes(seed)
    asked = [next(first) for _ in range(30)]
    assert asked == [next(second) for _ in range(30)]
    assert len({dataclasses.astuple(wish)[:2] for wish in asked}) == 30
