"""The forecasts, beside tables that were computed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.report_runner.forecast import (
    DoubleMovingAverage,
    DoubleSmoothing,
    Method,
    MovingAverage,
    Smoothing,
    moving_averages,
    smoothed,
)

UNEVEN = [10, 12, 11, 15, 14, 18]
METHODS: list[Method] = [
    MovingAverage(3),
    DoubleMovingAverage(3),
    Smoothing(0.5),
    DoubleSmoothing(0.5),
]


def test_moving_averages_are_those_of_the_table() -> None:
    # 33/3, 38/3, 40/3, 47/3
    assert moving_averages(UNEVEN, 3) == pytest.approx([11, 38 / 3, 40 / 3, 47 / 3])


def test_a_moving_average_foretells_the_mean_of_the_last_values_however_far() -> None:
    assert MovingAverage(3).forecast(UNEVEN, 1) == pytest.approx(47 / 3)
    assert MovingAverage(3).forecast(UNEVEN, 9) == pytest.approx(47 / 3)


@pytest.mark.parametrize(("ahead", "expected"), [(0, 157 / 9), (1, 173 / 9), (2, 21), (4, 221 / 9)])
def test_a_double_moving_average_foretells_the_line_of_the_table(
    ahead: int, expected: float
) -> None:
    # M' = 47/3, M'' = (38 + 40 + 47) / 9 = 125/9; level = 282/9 - 125/9, slope = 2/2 * 16/9
    assert DoubleMovingAverage(3).forecast(UNEVEN, ahead) == pytest.approx(expected)


def test_a_double_moving_average_of_four_weighs_the_slope_with_two_thirds() -> None:
    # M' = 1, 2, 5, 11, M'' = 19/4; level = 22 - 19/4 = 69/4, slope = 2/3 * 25/4 = 25/6
    values = [0, 0, 0, 4, 4, 12, 24]
    assert moving_averages(values, 4) == [1, 2, 5, 11]
    assert DoubleMovingAverage(4).forecast(values, 3) == pytest.approx(69 / 4 + 3 * 25 / 6)


def test_smoothing_is_that_of_the_table() -> None:
    # 10; 0.25 * 20 + 0.75 * 10 = 12.5; 0.25 * 10 + 0.75 * 12.5 = 11.875
    assert smoothed([10, 20, 10], 0.25) == [10, 12.5, 11.875]
    assert Smoothing(0.25).forecast([10, 20, 10], 5) == 11.875


def test_double_smoothing_foretells_the_line_of_the_table() -> None:
    # S' = 10, 15, 22.5; S'' = 10, 12.5, 17.5; level = 45 - 17.5, slope = 0.5 / 0.5 * 5
    assert DoubleSmoothing(0.5).forecast([10, 20, 30], 1) == 32.5
    assert DoubleSmoothing(0.5).forecast([10, 20, 30], 2.5) == 40


@pytest.mark.parametrize(
    ("method", "enough"),
    list(zip(METHODS, [3, 5, 1, 2], strict=True)),
)
def test_a_series_that_is_too_short_foretells_nothing(method: Method, enough: int) -> None:
    assert method.forecast([1.0] * (enough - 1), 1) is None
    assert method.forecast([1.0] * enough, 1) == pytest.approx(1.0)


@given(st.floats(-1e6, 1e6), st.floats(-1e3, 1e3), st.integers(2, 12), st.integers(0, 50))
def test_a_double_moving_average_foretells_a_straight_line_exactly(
    start: float, slope: float, window: int, ahead: int
) -> None:
    values = [start + slope * n for n in range(2 * window)]
    expected = start + slope * (len(values) - 1 + ahead)
    told = DoubleMovingAverage(window).forecast(values, ahead)
    assert told == pytest.approx(expected, rel=1e-6, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
@given(value=st.floats(-1e9, 1e9), length=st.integers(5, 40), ahead=st.integers(0, 100))
def test_what_never_changes_is_foretold_to_stay(
    method: Method, value: float, length: int, ahead: int
) -> None:
    assert method.forecast([value] * length, ahead) == pytest.approx(value, rel=1e-6, abs=1e-6)
