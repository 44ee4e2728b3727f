"""The rules of reports: what may be asked for, and how long it may take. Pure."""

from datetime import date
from typing import Final, Literal

import msgspec

Kind = Literal["sales"]
Format = Literal["csv", "parquet"]
Status = Literal["queued", "running", "finished", "failed", "expired", "cancelled"]
End = Literal["finished", "failed", "expired", "cancelled"]

MAX_DAYS: Final = 366
MAX_ATTEMPTS: Final = 3
"""Times that a report is claimed before it has failed."""
FIRST_DAY: Final = date(2000, 1, 1)
REPUBLISH: Final = 300.0
"""Seconds until a report that nobody has claimed is published again: its message may be lost."""
DELIVERY: Final = 120.0
"""Seconds that a made report's result may take to come, before the report is made again."""
DELIVERING: Final = "deliver"
"""The stage in which a report is made, and its result under way."""
LOST_WORKER: Final = "worker_lost"
HIDDEN: Final = 5.0
"""Seconds for which a synthetic report that waits is no fact of scaling: a free worker has it by
then, and with none it takes one more, as any other."""
SYNTHETIC_KEPT: Final = 3600.0
"""Seconds that a synthetic report is kept after its end: one comes every ten seconds."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asks for: sales from `first` to before `end`."""

    kind: Kind
    first: date
    end: date
    format: Format
    priority: int
    synthetic: bool = False


def wrong_dates(first: date, end: date) -> dict[str, str]:
    """Return what is wrong, by the field's name."""
    if first < FIRST_DAY:
        return {"from": f"Expected {FIRST_DAY} or later"}
    if end <= first:
        return {"to": "Expected a day after `from`: it is the first day that is left out"}
    if (end - first).days > MAX_DAYS:
        return {"to": f"Expected at most {MAX_DAYS} days after `from`"}
    return {}


def lease_of(stage: str, lease: float) -> float:
    """Return the seconds for which a word on `stage` keeps the report."""
    return max(lease, DELIVERY) if stage == DELIVERING else lease
