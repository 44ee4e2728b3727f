"""What is news in what Alertmanager tells the scaler, in whatever order it comes."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.report_runner.alerts import Heard, heard, replaces
from weft.alertmanager import LATE, digest

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ZERO = datetime(1, 1, 1, tzinfo=UTC)
"""Go's zero time."""


def told(*, firing: bool, start: float = -60, after: float = 0, **more: Any) -> Heard:
    """An alert that began `start` seconds from now and is told `after` seconds from now."""
    given = {"fingerprint": "a", "name": "ReportsWaiting", "ends_at": ZERO, **more}
    at = NOW + timedelta(seconds=after)
    return heard(firing=firing, starts_at=NOW + timedelta(seconds=start), now=at, **given)


def known_after(*sequence: Heard) -> Heard | None:
    known: Heard | None = None
    for one in sequence:
        known = one if replaces(one, known) else known
    return known


def test_beginnings_and_ends_come_to_the_same_in_any_order() -> None:
    first = (told(firing=True, start=-60), told(firing=False, start=-60))
    second = (told(firing=True, start=-10), told(firing=False, start=-10))
    for order in itertools.permutations((*first, *second)):
        assert known_after(*order) == second[1]
    for order in itertools.permutations((*first, second[0])):
        assert known_after(*order) == second[0]


def test_what_is_told_again_changes_nothing_but_when_it_was_heard() -> None:
    again = told(firing=True, after=60)
    assert known_after(told(firing=True), again) == again
    assert again.starts_at == told(firing=True).starts_at


def test_an_alert_that_fires_again_under_its_old_start_is_believed_after_a_while() -> None:
    end = told(firing=False)
    assert not replaces(told(firing=True, after=LATE.total_seconds()), end)
    assert replaces(told(firing=True, after=LATE.total_seconds() + 1), end)


@pytest.mark.parametrize(
    ("ends_in", "fires"), [(None, True), (-1.0, False), (0.0, False), (240.0, True)]
)
def test_an_alert_whose_end_is_over_does_not_fire(ends_in: float | None, fires: bool) -> None:
    ends_at = None if ends_in is None else NOW + timedelta(seconds=ends_in)
    assert told(firing=True, ends_at=ends_at).firing is fires
    assert told(firing=False, ends_at=ends_at).firing is False


def test_a_start_that_is_yet_to_come_is_now_and_hides_no_later_one() -> None:
    early = told(firing=True, start=10**9)
    assert early.starts_at == NOW
    assert replaces(told(firing=True, start=1, after=2), early)


def test_times_without_an_epoch_and_names_without_letters_can_be_stored() -> None:
    strange = told(firing=True, start=-(10**10), name="\x1b\ud800\n")
    assert strange.starts_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert strange.name == "?"
    assert told(firing=True, name="Two\nlines").name == "Twolines"


def test_a_group_of_any_length_has_a_short_name() -> None:
    assert len(digest("x" * 8192)) == len(digest("")) == 64
    assert digest("a") != digest("b")
