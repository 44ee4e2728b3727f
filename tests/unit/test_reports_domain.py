"""What may be asked for."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports.domain import DELIVERING, DELIVERY, FIRST_DAY, MAX_DAYS, lease_of, wrong_dates

DAY = date(2026, 1, 1)


@pytest.mark.parametrize("days", [1, 31, MAX_DAYS])
def test_a_range_of_up_to_a_year_is_right(days: int) -> None:
    assert wrong_dates(DAY, DAY + timedelta(days=days)) == {}


@pytest.mark.parametrize(
    ("first", "end", "field"),
    [
        (DAY, DAY, "to"),
        (DAY, DAY - timedelta(days=1), "to"),
        (DAY, DAY + timedelta(days=MAX_DAYS + 1), "to"),
        (FIRST_DAY - timedelta(days=1), FIRST_DAY, "from"),
    ],
)
def test_a_wrong_range_is_named_by_its_field(first: date, end: date, field: str) -> None:
    assert list(wrong_dates(first, end)) == [field]


@given(st.dates(), st.dates())
def test_whatever_is_right_has_days_and_not_too_many(first: date, end: date) -> None:
    if not wrong_dates(first, end):
        assert 1 <= (end - first).days <= MAX_DAYS


def test_a_made_report_waits_longer_for_its_result_than_a_runner_is_silent() -> None:
    assert lease_of("extract", 15.0) == 15.0
    assert lease_of(DELIVERING, 15.0) == DELIVERY
    assert lease_of(DELIVERING, 2 * DELIVERY) == 2 * DELIVERY
