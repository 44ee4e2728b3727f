"""When a webhook that was not taken is sent again."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

JITTER: Final = 0.2
LONGEST_WISH: Final = 86_400.0
"""Seconds: a Retry-After beyond that counts as that."""

_DIGITS: Final = 10


class Schedule(NamedTuple):
    """Seconds between one attempt and the next. `endless`: the last one is repeated for ever."""

    pauses: tuple[float, ...]
    endless: bool = False

    def pause_after(self, attempts: int) -> float | None:
        """Return the seconds to wait after the `attempts`th attempt, None if it was the last."""
        if attempts <= len(self.pauses):
            pause = self.pauses[attempts - 1]
        elif self.endless:
            pause = self.pauses[-1]
        else:
            return None
        return pause * random.uniform(1 - JITTER, 1 + JITTER)


_MINUTE, _HOUR = 60.0, 3600.0
STANDARD: Final = Schedule(
    (5.0, 5 * _MINUTE, 30 * _MINUTE, *(h * _HOUR for h in (2.0, 5.0, 10.0, 14.0, 20.0, 24.0)))
)
"""That of the Standard Webhooks specification: ten attempts in three days."""

NEARBY: Final = Schedule((0.5, 1.0, 2.0, 5.0, 10.0, 30.0), endless=True)
"""For a service of the same mesh, which comes back."""


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float:
    """Return the seconds that Retry-After (RFC 9110, a number or a date) asks for, else 0."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:_DIGITS]), LONGEST_WISH)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(0.0, (at - (now or datetime.now(UTC))).total_seconds()), LONGEST_WISH)
