"""What is news in what Alertmanager tells the scaler, in whatever order it comes: pure."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from weft.alertmanager import FIRST_YEAR, LATE

SCALER: Final = "scaler"
REPORTS: Final = "reports"
"""The label and its value that alerts for the scaler have."""
_FIRST: Final = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One alert as it was told, or as it is known: `heard_at` is when."""

    fingerprint: str
    name: str
    firing: bool
    starts_at: datetime
    heard_at: datetime


def heard(
    *,
    fingerprint: str,
    name: str,
    firing: bool,
    starts_at: datetime,
    ends_at: datetime | None,
    now: datetime,
) -> Heard:
    """Return what to make of an alert that is told `now`.

    One whose end is over does not fire, whatever else is said; a start that is yet to come would
    hide every later one, and is taken for now.
    """
    over = ends_at is not None and _FIRST <= ends_at <= now
    return Heard(
        fingerprint=fingerprint,
        name="".join(filter(str.isprintable, name)) or "?",
        firing=firing and not over,
        starts_at=max(_FIRST, min(starts_at, now)),
        heard_at=now,
    )


def replaces(told: Heard, known: Heard | None) -> bool:
    """Whether what is told is newer than what is known of the same alert, or the same again."""
    if known is None or told.starts_at > known.starts_at:
        return True
    if told.starts_at < known.starts_at:
        return False
    return not told.firing or known.firing or told.heard_at - known.heard_at > LATE
