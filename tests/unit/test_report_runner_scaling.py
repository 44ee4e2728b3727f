"""How many workers there should be, beside tables that were computed by hand; what always holds."""

import json
import math
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.report_runner.requestor import Facts
from services.report_runner.scaling import Decision, Limits, Reason, Sizer

LIMITS = Limits(
    min_workers=0,
    max_workers=50,
    target_wait=10.0,
    scale_down_delay=30.0,
    standing=0.5,
    lead=10,
)


def facts(*, waiting: int = 0, oldest: float = 0.0, running: int = 0, requested: int = 0) -> Facts:
    return Facts(waiting=waiting, oldest=oldest, running=running, requested=requested)


def steady(sizer: Sizer, rate: int, *, seconds: int, start: int = 0, workers: int = 10) -> Decision:
    """Return the last of the decisions while `rate` reports a second come in and none waits."""
    decision = None
    for second in range(start, start + seconds + 1):
        now = facts(running=workers, requested=rate * second)
        decision = sizer.step(float(second), now, 2.0, workers)
        workers = decision.workers
    assert decision is not None
    return decision


@pytest.mark.parametrize(
    ("waiting", "running", "service_time", "workers"),
    [
        # service time * waiting / 10 s, rounded up
        (0, 0, 2.0, 0),
        (1, 0, 2.0, 1),
        (20, 0, 2.0, 4),
        (21, 0, 2.0, 5),
        (100, 0, 4.0, 40),
        # not measured: 5 s
        (100, 0, None, 50),
        # never more than there are reports: 3 wait, 2 are being made
        (3, 2, 60.0, 5),
        # not above the limit
        (400, 0, 2.0, 50),
    ],
)
def test_the_backlog_is_drained_within_the_target(
    waiting: int, running: int, service_time: float | None, workers: int
) -> None:
    now = facts(waiting=waiting, running=running)
    assert Sizer(LIMITS).step(0.0, now, service_time, 0).workers == workers


@pytest.mark.parametrize(
    ("requested", "waiting", "service_time", "workers", "reason"),
    [
        # 6 a second, of 2 s each
        (6, 0, 2.0, 12, Reason.ARRIVALS),
        # and 5 more for 25 that wait
        (6, 25, 2.0, 17, Reason.ARRIVALS),
        # 1 a second is what 2 workers do
        (1, 25, 2.0, 7, Reason.BACKLOG),
        (1, 0, 2.0, 2, Reason.HOLD),
        (40, 0, 2.0, 50, Reason.LIMIT),
    ],
)
def test_what_comes_in_needs_its_rate_times_its_service_time(
    requested: int, waiting: int, service_time: float, workers: int, reason: Reason
) -> None:
    sizer = Sizer(LIMITS)
    sizer.step(0.0, facts(running=2), service_time, 2)
    now = facts(waiting=waiting, running=2, requested=requested)
    decision = sizer.step(1.0, now, service_time, 2)
    assert (decision.workers, decision.reason) == (workers, reason)
    assert decision.arrival_rate == requested


def test_a_decision_tells_what_it_was_made_of() -> None:
    sizer = Sizer(LIMITS)
    sizer.step(0.0, facts(), 4.0, 1)
    decision = sizer.step(1.0, facts(waiting=30, oldest=2.5, running=1, requested=3), 4.0, 1)
    assert decision == Decision(
        at=1.0,
        workers=24,
        before=1,
        reason=Reason.ARRIVALS,
        waiting=30,
        oldest=2.5,
        running=1,
        arrival_rate=3.0,
        service_time=4.0,
        service_time_known=True,
        forecast_rate=None,
        trusted=False,
        mae=None,
        mase=None,
        for_backlog=12.0,
        for_arrivals=12.0,
        needed=24,
    )
    assert json.loads(msgspec.json.encode(decision))["reason"] == "arrivals"


@pytest.mark.parametrize("service_time", [None, 0.0, -1.0, math.nan, math.inf])
def test_a_service_time_that_nobody_measured_is_that_of_the_limits(
    service_time: float | None,
) -> None:
    decision = Sizer(LIMITS).step(0.0, facts(waiting=4), service_time, 0)
    assert (decision.service_time, decision.service_time_known) == (5.0, False)
    assert decision.workers == 2


def test_no_worker_and_one_report_that_waits_is_one_worker_at_once() -> None:
    decision = Sizer(LIMITS).step(0.0, facts(waiting=1), 0.001, 0)
    assert (decision.workers, decision.reason) == (1, Reason.BACKLOG)


def test_a_forecast_that_is_better_than_naive_counts_before_the_reports_come() -> None:
    sizer = Sizer(msgspec.structs.replace(LIMITS, window=10, max_workers=1000))
    decision, requested, workers = None, 0, 10
    for second in range(100):
        requested += second  # each second one more
        decision = sizer.step(float(second), facts(running=999, requested=requested), 1.0, workers)
        workers = decision.workers
    assert decision is not None
    # the last sample is 99; the next ten are 100 to 109, the last ten were 90 to 99
    assert decision.arrival_rate == pytest.approx(94.5)
    assert decision.forecast_rate == pytest.approx(104.5)
    # half of what they need, since the other half is taken from a line that may stand
    assert (decision.trusted, decision.for_arrivals) == (True, pytest.approx(104.5 / 2))


def test_a_forecast_that_is_worse_than_naive_is_told_and_not_used() -> None:
    sizer = Sizer(msgspec.structs.replace(LIMITS, window=20, lead=3))
    decision, requested, workers = None, 0, 10
    for second in range(200):
        requested += 10 * (second // 20 % 2)
        decision = sizer.step(float(second), facts(running=9, requested=requested), 1.0, workers)
        workers = decision.workers
    assert decision is not None
    assert decision.mase is not None
    assert decision.mase > 1
    assert not decision.trusted
    assert decision.for_arrivals == decision.arrival_rate


def test_what_was_needed_is_kept_for_the_delay() -> None:
    sizer = Sizer(LIMITS)
    assert sizer.step(0.0, facts(waiting=50), 2.0, 0).workers == 10
    after = [sizer.step(float(at), facts(), 2.0, 10) for at in (1, 15, 30)]
    assert {(one.workers, one.reason) for one in after} == {(10, Reason.SCALE_DOWN_DELAY)}
    last = sizer.step(31.0, facts(), 2.0, 10)
    assert (last.workers, last.reason) == (0, Reason.SHRINK)


def test_it_shrinks_to_the_peak_of_the_delay_not_to_the_present() -> None:
    sizer = Sizer(LIMITS)
    sizer.step(0.0, facts(waiting=100), 2.0, 20)
    sizer.step(20.0, facts(waiting=40), 2.0, 20)
    assert sizer.step(31.0, facts(), 2.0, 20).workers == 8


def test_who_begins_does_not_shrink_before_a_whole_delay_was_seen() -> None:
    sizer = Sizer(LIMITS)
    reasons = [sizer.step(float(at), facts(), 2.0, 9).reason for at in range(32)]
    assert reasons == [Reason.SCALE_DOWN_DELAY] * 31 + [Reason.SHRINK]


@pytest.mark.parametrize("silence", [31.0, 1e6, -50.0])
def test_after_a_silence_or_a_clock_that_went_back_it_is_as_at_the_beginning(
    silence: float,
) -> None:
    sizer = Sizer(LIMITS)
    for at in range(40):
        sizer.step(float(at), facts(), 2.0, 0)
    again = sizer.step(39.0 + silence, facts(), 2.0, 9)
    assert (again.workers, again.reason) == (9, Reason.SCALE_DOWN_DELAY)


@pytest.mark.parametrize(
    ("waiting", "workers", "reason"),
    [
        # 20 workers, of which a tenth is 2
        (110, 20, Reason.HYSTERESIS),
        (115, 23, Reason.BACKLOG),
        (90, 20, Reason.SCALE_DOWN_DELAY),
    ],
)
def test_a_change_that_is_too_small_is_not_made(waiting: int, workers: int, reason: Reason) -> None:
    decision = Sizer(LIMITS).step(0.0, facts(waiting=waiting), 2.0, 20)
    assert (decision.workers, decision.reason) == (workers, reason)


def test_a_little_fewer_is_not_worth_a_change_either() -> None:
    sizer = Sizer(LIMITS)
    for at in range(31):
        sizer.step(float(at), facts(waiting=90), 2.0, 20)
    decision = sizer.step(31.0, facts(waiting=90), 2.0, 20)
    assert (decision.workers, decision.reason) == (20, Reason.HYSTERESIS)


@pytest.mark.parametrize(("workers", "size"), [(0, 2), (1, 2), (99, 8)])
def test_a_size_outside_the_limits_is_brought_within(workers: int, size: int) -> None:
    sizer = Sizer(Limits(min_workers=2, max_workers=8))
    waiting = 100 if workers > 8 else 0
    decision = sizer.step(0.0, facts(waiting=waiting), 2.0, workers)
    assert (decision.workers, decision.reason) == (size, Reason.LIMIT)


def test_a_counter_that_fell_is_no_demand() -> None:
    sizer = Sizer(LIMITS)
    steady(sizer, 2, seconds=20, workers=4)
    decision = sizer.step(21.0, facts(running=4, requested=3), 2.0, 4)
    assert (decision.workers, decision.arrival_rate) == (4, 2.0)
    assert sizer.step(22.0, facts(running=4, requested=5), 2.0, 4).workers == 4


def test_a_gap_in_the_samples_is_no_burst() -> None:
    sizer = Sizer(LIMITS)
    steady(sizer, 2, seconds=20, workers=4)
    decision = sizer.step(24.0, facts(running=4, requested=48), 2.0, 4)
    assert (decision.workers, decision.arrival_rate) == (4, 2.0)
    decision = sizer.step(80.0, facts(running=4, requested=160), 2.0, 4)
    assert (decision.workers, decision.arrival_rate) == (4, None)


def test_after_a_silence_what_waits_tells_how_fast_it_came() -> None:
    # 12 in 3 s are 4 a second, which keep 20 workers busy; 12 * 5 s / 10 s are 6 more
    decision = Sizer(LIMITS).step(0.0, facts(waiting=12, oldest=3.0), 5.0, 0)
    assert (decision.arrival_rate, decision.workers) == (4.0, 26)


def test_after_a_silence_the_forecast_from_before_it_is_not_used() -> None:
    sizer = Sizer(msgspec.structs.replace(LIMITS, window=10))
    requested = 0
    for second in range(100):
        requested += second
        before = sizer.step(float(second), facts(requested=requested), 1.0, 9)
    assert before.trusted
    after = sizer.step(500.0, facts(requested=requested), 1.0, 9)
    assert (after.forecast_rate, after.trusted, after.arrival_rate) == (None, False, None)
    assert after.needed == 0


def test_an_old_line_is_no_demand() -> None:
    sizer = Sizer(LIMITS)
    first = sizer.step(0.0, facts(waiting=20, oldest=600.0), 5.0, 0)
    assert first.arrival_rate == pytest.approx(1 / 30)
    assert first.workers == 11
    for second in range(1, 12):
        last = sizer.step(float(second), facts(waiting=20, oldest=600.0), 5.0, 0)
    assert last.arrival_rate == 0.0


def test_limits_that_cannot_be_kept_are_refused() -> None:
    with pytest.raises(ValueError, match="above"):
        Limits(min_workers=5, max_workers=4)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"target_wait": 0}, Limits)


ANY = st.floats(allow_nan=True, allow_infinity=True)
COUNTS = st.integers(-(10**30), 10**30) | st.integers(0, 500)
FACTS = st.builds(facts, waiting=COUNTS, oldest=ANY, running=COUNTS, requested=COUNTS)
TIMES = st.one_of(st.none(), ANY, st.floats(0.001, 600.0))
LIMITS_OF_ANY_KIND = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(2, 8)).map(
    lambda n: Limits(min_workers=min(n[:2]), max_workers=max(n[:2]), window=n[2], lead=3)
)
STEPS = st.lists(st.tuples(st.floats(0, 3) | ANY, FACTS, TIMES), min_size=1, max_size=40)


@given(LIMITS_OF_ANY_KIND, STEPS, st.integers(0, 100))
def test_whatever_it_is_told_the_limits_are_kept_and_every_number_is_finite(
    limits: Limits, steps: list[tuple[float, Facts, float | None]], workers: int
) -> None:
    sizer, at = Sizer(limits), 0.0
    for more, now, service_time in steps:
        at += more
        decision = sizer.step(at, now, service_time, workers)
        workers = decision.workers
        assert limits.min_workers <= workers <= limits.max_workers
        numbers = msgspec.structs.asdict(decision).values()
        assert all(math.isfinite(one) for one in numbers if isinstance(one, float))
        assert min(decision.waiting, decision.running, decision.needed) >= 0
        msgspec.json.decode(msgspec.json.encode(decision), type=Decision)


QUEUES = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40)), min_size=1, max_size=60)


@given(QUEUES, st.integers(1, 300), st.floats(0.1, 30.0), st.integers(0, 50))
def test_more_that_waits_is_never_fewer_workers(
    queue: list[tuple[int, int]], more: int, service_time: float, workers: int
) -> None:
    less_sizer, more_sizer = Sizer(LIMITS), Sizer(LIMITS)
    requested = 0
    for second, (waiting, new) in enumerate(queue):
        requested += new
        now = facts(waiting=waiting, requested=requested)
        than = facts(waiting=waiting + more, requested=requested)
        lower = less_sizer.step(float(second), now, service_time, workers)
        upper = more_sizer.step(float(second), than, service_time, workers)
        assert upper.workers >= lower.workers
        workers = lower.workers


@given(QUEUES, st.floats(0.1, 30.0))
def test_it_never_shrinks_below_what_was_needed_within_the_delay(
    queue: list[tuple[int, int]], service_time: float
) -> None:
    sizer, workers, requested = Sizer(LIMITS), 0, 0
    decisions: list[Decision] = []
    for second, (waiting, new) in enumerate(queue):
        requested += new
        now = facts(waiting=waiting, requested=requested)
        decisions.append(sizer.step(float(second), now, service_time, workers))
        workers = decisions[-1].workers
    for before, after in pairwise(decisions):
        if after.workers < before.workers:
            recent = [one for one in decisions if after.at - 30 <= one.at <= after.at]
            assert after.workers >= max(min(one.needed, 50) for one in recent)


@given(st.integers(1, 10**6), st.floats(0.001, 600.0))
def test_what_waits_has_a_worker(waiting: int, service_time: float) -> None:
    assert Sizer(LIMITS).step(0.0, facts(waiting=waiting), service_time, 0).workers >= 1


@given(st.integers(0, 20), st.integers(0, 9), st.integers(2, 60))
def test_when_all_is_still_it_comes_to_rest_at_the_least(
    workers: int, rate: int, seconds: int
) -> None:
    sizer = Sizer(LIMITS)
    last = steady(sizer, rate, seconds=seconds, workers=workers)
    workers = last.workers
    for second in range(seconds + 1, seconds + 200):
        workers = sizer.step(float(second), facts(requested=rate * seconds), 2.0, workers).workers
    assert workers == 0
