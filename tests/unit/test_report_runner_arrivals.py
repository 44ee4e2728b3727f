"""Arrivals from a counter, and a forecast's own error, beside tables that were computed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.report_runner.arrivals import ENOUGH, Arrivals, Forecaster
from services.report_runner.forecast import DoubleMovingAverage, Method, Smoothing

LEAD = 2


def scored(method: Method, values: list[float], *, lead: int = LEAD) -> Forecaster:
    """Return the forecaster after each of the values has come in by itself."""
    forecaster = Forecaster(method, lead=lead, origins=100)
    for count in range(1, len(values) + 1):
        forecaster.sampled(values[:count], 1)
    return forecaster


def test_a_sample_is_what_the_counter_grew_by_in_a_second() -> None:
    arrivals = Arrivals(step=1.0, keep=10, gap=5)
    assert [arrivals.look(at, n) for at, n in [(5.0, 100), (6.0, 103), (7.0, 103)]] == [0, 1, 1]
    assert arrivals.values == [3.0, 0.0]
    assert arrivals.rate(10) == 1.5
    assert arrivals.rate(1) == 0.0


def test_nothing_is_known_before_the_second_look() -> None:
    arrivals = Arrivals(step=1.0, keep=10, gap=5)
    arrivals.look(0.0, 7)
    assert arrivals.rate(3) is None


def test_a_look_that_comes_too_early_waits_for_the_next() -> None:
    arrivals = Arrivals(step=1.0, keep=10, gap=5)
    assert [arrivals.look(at, n) for at, n in [(0.0, 0), (0.4, 4), (1.25, 5)]] == [0, 0, 1]
    assert arrivals.values == [4.0]


def test_a_gap_is_filled_with_its_mean_rate() -> None:
    arrivals = Arrivals(step=1.0, keep=10, gap=5)
    assert [arrivals.look(at, n) for at, n in [(0.0, 0), (1.0, 8), (5.0, 10)]] == [0, 1, 4]
    assert arrivals.values == [8.0, 0.5, 0.5, 0.5, 0.5]


def test_after_a_long_gap_nothing_is_known() -> None:
    arrivals = Arrivals(step=1.0, keep=10, gap=5)
    assert [arrivals.look(at, n) for at, n in [(0.0, 0), (1.0, 8), (7.0, 10)]] == [0, 1, 0]
    assert arrivals.rate(3) is None
    assert arrivals.look(8.0, 13) == 1
    assert arrivals.values == [3.0]


@pytest.mark.parametrize(("at", "counter"), [(2.0, 90), (0.5, 104), (0.5, 3)])
def test_a_counter_or_a_clock_that_fell_begins_anew(at: float, counter: int) -> None:
    arrivals = Arrivals(step=1.0, keep=10, gap=5)
    arrivals.look(0.0, 100)
    arrivals.look(1.0, 102)
    assert arrivals.look(at, counter) == 0
    assert arrivals.look(at + 1, counter + 1) == 1
    assert arrivals.values == [2.0, 1.0]


def test_errors_are_those_of_the_table() -> None:
    # lead 2, alpha 0.5: S = 4, 6, 7, 3.5, 1.75; the means of two are -, 6, 8, 4, 0.
    # Origin 1 had told nothing to compare with (one sample); origin 2 told 6 (naive 6) and 4 came;
    # origin 3 told 7 (naive 8) and 0 came.
    values = [4.0, 8.0, 8.0, 0.0, 0.0]
    forecast = scored(Smoothing(0.5), values).forecast()
    assert forecast.rate == 1.75
    assert forecast.mae == pytest.approx((2 + 7) / 2)
    assert forecast.mase == pytest.approx((2 + 7) / (2 + 8))


def test_a_forecast_is_not_trusted_before_enough_of_it_came_due() -> None:
    line = [float(n) for n in range(LEAD + 5 + ENOUGH)]
    early, late = (scored(DoubleMovingAverage(3), line[:n]) for n in (len(line) - 2, len(line)))
    assert not early.forecast().trusted
    assert late.forecast().trusted


def test_on_a_straight_line_a_double_moving_average_has_no_error_and_a_naive_one_has() -> None:
    forecast = scored(DoubleMovingAverage(4), [3.0 * n for n in range(60)], lead=5).forecast()
    assert forecast.mae == pytest.approx(0.0, abs=1e-9)
    assert forecast.mase == pytest.approx(0.0, abs=1e-9)
    # the mean of the next five of 177, 180, ...
    assert forecast.rate == pytest.approx(177 + 3 * 3)
    assert forecast.trusted


def test_a_forecast_that_is_worse_than_naive_is_not_trusted() -> None:
    steps = [10.0 * (n // 20 % 2) for n in range(200)]
    forecast = scored(DoubleMovingAverage(15), steps, lead=4).forecast()
    assert forecast.mase is not None
    assert forecast.mase > 1
    assert not forecast.trusted


def test_a_surprise_ends_the_trust_at_once() -> None:
    line = [float(n) for n in range(60)]
    noisy = [value + (-1) ** n for n, value in enumerate(line)]
    assert scored(DoubleMovingAverage(6), noisy).forecast().trusted
    after = scored(DoubleMovingAverage(6), [*noisy, 90.0]).forecast()
    assert after.mase is not None
    assert after.mase < 1
    assert not after.trusted


def test_where_a_naive_forecast_has_no_error_none_is_trusted() -> None:
    forecast = scored(DoubleMovingAverage(3), [2.0] * 60).forecast()
    assert (forecast.mase, forecast.trusted) == (None, False)


def test_what_falls_is_not_foretold_below_nothing() -> None:
    falling = [float(max(0, 40 - n)) for n in range(41)]
    assert scored(DoubleMovingAverage(10), falling).forecast().rate == 0.0


def test_no_error_is_made_of_a_gap() -> None:
    forecaster = scored(Smoothing(0.5), [4.0, 8.0])
    forecaster.sampled([4.0, 8.0, 1.0, 1.0, 1.0], 3)
    forecaster.sampled([4.0, 8.0, 1.0, 1.0, 1.0, 1.0], 1)
    assert forecaster.forecast().mae is None
    forecaster.sampled([4.0, 8.0, 1.0, 1.0, 1.0, 1.0, 1.0], 1)
    assert forecaster.forecast().mae is not None


@given(
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.integers(0, 2**63 - 1)), max_size=60),
    st.integers(1, 20),
)
def test_samples_are_never_negative_and_never_too_many(
    looks: list[tuple[float, int]], keep: int
) -> None:
    arrivals = Arrivals(step=1.0, keep=keep, gap=5)
    for at, counter in looks:
        assert 0 <= arrivals.look(at, counter) <= 5
    assert len(arrivals.values) <= keep
    assert all(value >= 0 for value in arrivals.values)
