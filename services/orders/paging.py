"""Cursors of lists of orders: opaque to callers, the last order's id to us."""

import base64
import re
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.orders.store import Summary
from weft.http import FieldError, Problem

_CURSOR: Final = re.compile(r"[A-Za-z0-9_-]{22}")
"""The 16 bytes of an id in base64 without padding."""


def cursor_after(shown: Sequence[Summary]) -> str:
    """Return the cursor of the page that follows `shown`."""
    last = UUID(shown[-1].order_id)
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def order_before(cursor: str | None) -> str | None:
    """Return the id that the page's orders are older than; Problem 400 for a foreign cursor."""
    if cursor is None:
        return None
    if not _CURSOR.fullmatch(cursor):
        error = FieldError("/cursor", "Not a cursor that a list gave")
        raise Problem(400, detail="The cursor is wrong.", errors=[error])
    return str(UUID(bytes=base64.urlsafe_b64decode(cursor + "==")))
