"""A circuit opens when a peer fails, and one probe decides when it closes."""

import pytest

from weft.http.breaker import BreakerPolicy, CircuitBreaker, State


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def states() -> list[State]:
    return []


@pytest.fixture
def breaker(clock: Clock, states: list[State]) -> CircuitBreaker:
    policy = BreakerPolicy(failure_ratio=0.5, minimum=4, window=10.0, open_for=5.0)
    return CircuitBreaker(policy, states.append, clock)


def finish(breaker: CircuitBreaker, *outcomes: bool) -> None:
    for ok in outcomes:
        permit = breaker.permit()
        assert permit is not None
        breaker.settle(permit, ok=ok)


def test_few_failures_do_not_open_it(breaker: CircuitBreaker) -> None:
    finish(breaker, False, False, False)
    assert breaker.state == "closed"


def test_a_ratio_of_failures_opens_it(breaker: CircuitBreaker, states: list[State]) -> None:
    finish(breaker, True, True, True, False, False)
    assert breaker.state == "closed"
    finish(breaker, False)
    assert breaker.state == "open"
    assert breaker.permit() is None
    assert states == ["open"]


def test_a_success_never_opens_it(breaker: CircuitBreaker) -> None:
    finish(breaker, False, False, False, True)
    assert breaker.state == "closed"
    finish(breaker, False)
    assert breaker.state == "open"


def test_failures_older_than_the_window_count_for_nothing(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    finish(breaker, False, False, False)
    clock.now += 11
    finish(breaker, False)
    assert breaker.state == "closed"


def test_one_probe_goes_through_and_closes_it(
    breaker: CircuitBreaker, clock: Clock, states: list[State]
) -> None:
    finish(breaker, False, False, False, False)
    clock.now += 6.1
    probe = breaker.permit()
    assert probe is not None
    assert breaker.permit() is None
    breaker.settle(probe, ok=True)
    assert states == ["open", "half-open", "closed"]
    finish(breaker, True)


def test_a_probe_that_fails_opens_it_again(breaker: CircuitBreaker, clock: Clock) -> None:
    finish(breaker, False, False, False, False)
    clock.now += 6.1
    finish(breaker, False)
    assert breaker.state == "open"
    clock.now += 4.9
    assert breaker.permit() is None


def test_a_probe_whose_caller_went_away_makes_room_for_another(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    finish(breaker, False, False, False, False)
    clock.now += 6.1
    probe = breaker.permit()
    assert probe is not None
    breaker.abandon(probe)
    assert breaker.permit() is not None


def test_an_outcome_of_an_earlier_state_counts_for_nothing(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    late = breaker.permit()
    assert late is not None
    finish(breaker, False, False, False, False)
    clock.now += 6.1
    assert breaker.permit() is not None
    breaker.settle(late, ok=True)
    assert breaker.state == "half-open"
