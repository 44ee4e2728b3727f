"""When a webhook is sent again."""

from datetime import UTC, datetime

import pytest

from weft.webhooks import NEARBY, STANDARD
from weft.webhooks.schedule import JITTER, retry_after

HOUR = 3600.0
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def test_the_standard_schedule_has_ten_attempts_in_three_days() -> None:
    plain = [5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
    for attempts, seconds in enumerate(plain, 1):
        pause = STANDARD.pause_after(attempts)
        assert pause is not None
        assert seconds * (1 - JITTER) <= pause <= seconds * (1 + JITTER)
    assert STANDARD.pause_after(10) is None


def test_two_pauses_are_not_the_same() -> None:
    assert len({STANDARD.pause_after(2) for _ in range(20)}) > 1


def test_a_service_nearby_is_never_given_up() -> None:
    pause = NEARBY.pause_after(100_000)
    assert pause is not None
    assert pause <= 30 * (1 + JITTER)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("9" * 400, 86_400.0),
        ("Thu, 01 Jan 2026 12:01:00 GMT", 60.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2099 11:00:00 GMT", 86_400.0),
        ("soon", 0.0),
        ("-1", 0.0),
        ("²", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(text: str, seconds: float) -> None:
    assert retry_after({"Retry-After": text}, NOW) == seconds
