import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.http import Cursors, Problem

ORDERS = Cursors("orders")


def refused(cursors: Cursors, cursor: str) -> None:
    with pytest.raises(Problem) as caught:
        cursors.place(cursor)
    assert caught.value.status == 400
    assert [error.path for error in caught.value.errors] == ["/cursor"]


@given(st.binary(min_size=1, max_size=40))
def test_a_cursor_leads_back_to_its_place(place: bytes) -> None:
    assert ORDERS.place(ORDERS.after(place)) == place


@given(st.binary(min_size=1, max_size=20), st.data())
def test_a_cursor_that_was_cut_extended_or_altered_is_a_bad_request(
    place: bytes, data: st.DataObject
) -> None:
    cursor = ORDERS.after(place)
    at = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from("ABab01-_ é=").filter(lambda each: each != cursor[at]))
    for wrong in (cursor[:at], cursor[:at] + other + cursor[at + 1 :], cursor + other):
        refused(ORDERS, wrong)


def test_a_cursor_of_another_list_is_a_bad_request() -> None:
    refused(ORDERS, Cursors("products").after(b"\0\1"))


@given(st.text(max_size=40))
def test_no_text_at_all_breaks_the_reading_of_cursors(cursor: str) -> None:
    with contextlib.suppress(Problem):
        ORDERS.place(cursor)
