import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders.paging import cursor_after, order_before
from services.orders.store import Summary
from weft.http import Problem
from weft.ids import uuid7


def summary(order_id: str) -> Summary:
    return Summary(
        order_id=order_id,
        status="pending",
        reason=None,
        items=(),
        total_minor=0,
        currency="EUR",
        trace_id="0" * 32,
        placed_at=datetime.now(UTC),
        finished_at=None,
    )


def test_a_cursor_leads_back_to_the_last_order_shown() -> None:
    shown = [summary(uuid7()) for _ in range(3)]
    assert order_before(cursor_after(shown)) == shown[-1].order_id


def test_without_a_cursor_the_list_begins_with_the_newest() -> None:
    assert order_before(None) is None


@pytest.mark.parametrize(
    "cursor", ["", "x", "A" * 21, "A" * 23, "é" * 22, "=" * 22, "+" * 22, "_" * 27]
)
def test_a_cursor_that_no_list_gave_is_a_bad_request(cursor: str) -> None:
    with pytest.raises(Problem) as caught:
        order_before(cursor)
    assert caught.value.status == 400


@given(st.text(max_size=40))
def test_no_text_at_all_breaks_the_reading_of_cursors(cursor: str) -> None:
    with contextlib.suppress(Problem):
        order_before(cursor)
