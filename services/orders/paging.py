"""Cursors of lists of orders: the last order's id."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.orders.store import Summary
from weft.http import Cursors

_CURSORS: Final = Cursors("orders")


def cursor_after(shown: Sequence[Summary]) -> str:
    """Return the cursor of the page that follows `shown`."""
    return _CURSORS.after(UUID(shown[-1].order_id).bytes)


def order_before(cursor: str | None) -> str | None:
    """Return the id that the page's orders are older than; Problem 400 for a foreign cursor."""
    return None if cursor is None else str(UUID(bytes=_CURSORS.place(cursor)))
