import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.buckets import Bounded, Bucket, Lease


def test_a_full_bucket_gives_its_burst_and_then_tells_when_the_next_token_comes() -> None:
    bucket = Bucket(rate=10.0, burst=3.0, now=0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(0.0) == pytest.approx(0.1)


def test_a_bucket_fills_with_time_and_not_above_its_burst() -> None:
    bucket = Bucket(rate=10.0, burst=2.0, now=0.0)
    bucket.take(0.0)
    bucket.take(0.0)
    assert [bucket.take(100.0) == 0.0 for _ in range(3)] == [True, True, False]


def test_a_clock_that_goes_back_gives_nothing_for_free() -> None:
    bucket = Bucket(rate=10.0, burst=1.0, now=10.0)
    assert bucket.take(10.0) == 0.0
    assert bucket.take(5.0) > 0.0
    assert bucket.take(10.05) > 0.0


@given(
    rate=st.floats(0.5, 100),
    burst=st.integers(1, 50),
    gaps=st.lists(st.floats(0, 1), min_size=1, max_size=200),
)
def test_no_pattern_of_requests_gets_more_than_burst_and_rate_allow(
    rate: float, burst: int, gaps: list[float]
) -> None:
    bucket = Bucket(rate=rate, burst=burst, now=0.0)
    now, passed = 0.0, 0
    for gap in gaps:
        now += gap
        passed += bucket.take(now) == 0.0
    assert passed <= burst + now * rate + 1e-6


def test_a_lease_gives_no_more_than_its_tokens_and_none_after_its_end() -> None:
    lease = Lease()
    assert not lease.spend(0.0)
    lease.tokens, lease.expires_at = 2, 5.0
    assert [lease.spend(4.9) for _ in range(3)] == [True, True, False]
    lease.tokens = 1
    assert not lease.spend(5.0)


def test_bounded_values_make_room_for_new_ones_by_dropping_the_one_unused_for_longest() -> None:
    values: Bounded[list[int]] = Bounded(2)
    first = values.get("a", list)
    values.get("b", list)
    assert values.get("a", list) is first
    values.get("c", list)
    assert len(values) == 2
    assert values.get("a", list) is first
