"""Retries stay within a budget and a bounded pause."""

from weft.http.retry import MAX_PAUSE, RetryBudget, pause_before


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def drain(budget: RetryBudget) -> int:
    taken = 0
    while budget.withdraw():
        taken += 1
    return taken


def test_in_the_long_run_a_tenth_of_the_requests_may_be_retried() -> None:
    budget = RetryBudget(floor=0.0, clock=Clock())
    drain(budget)
    retried = 0
    for _ in range(1000):
        budget.deposit()
        retried += budget.withdraw()
    assert 98 <= retried <= 100


def test_a_caller_with_few_requests_has_a_floor_of_retries() -> None:
    clock = Clock()
    budget = RetryBudget(floor=1.0, clock=clock)
    drain(budget)
    clock.now += 3.0
    assert drain(budget) == 3


def test_retries_are_not_saved_up_beyond_the_capacity() -> None:
    clock = Clock()
    budget = RetryBudget(capacity=5.0, clock=clock)
    for _ in range(1000):
        budget.deposit()
    clock.now += 3600.0
    assert drain(budget) == 5


def test_pauses_grow_and_are_bounded() -> None:
    assert all(0.0 <= pause_before(1) <= 0.1 for _ in range(100))
    assert all(0.0 <= pause_before(20) <= MAX_PAUSE for _ in range(100))
    assert len({pause_before(3) for _ in range(10)}) > 1
