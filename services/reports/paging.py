"""Cursors of lists of reports: the last report's id."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.reports.store import Report
from weft.http import Cursors

_CURSORS: Final = Cursors("reports")


def cursor_after(shown: Sequence[Report]) -> str:
    """Return the cursor of the page that follows `shown`."""
    return _CURSORS.after(UUID(shown[-1].report_id).bytes)


def report_before(cursor: str | None) -> str | None:
    """Return the id that the page's reports are older than; Problem 400 for a foreign cursor."""
    return None if cursor is None else str(UUID(bytes=_CURSORS.place(cursor)))
