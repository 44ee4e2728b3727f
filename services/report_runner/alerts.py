"""What is news in what Alertmanager tells the scaler, in whatever order it comes: pure."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

SCALER: Final = "scaler"
REPORTS: Final = "reports"
"""The label and its value that alerts for the scaler have."""
LATE: Final = timedelta(minutes=1)
"""For so long after an alert's end, a beginning with the same start is one that was overtaken;
later, the alert fires again under its old start (Prometheus keeps it over a restart)."""
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Go's zero time, the year 1, is what stands for no end."""


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


def digest(group_key: str) -> str:
    """Return what a group is called here: its key may be of any length."""
    return hashlib.sha256(group_key.encode()).hexdigest()
