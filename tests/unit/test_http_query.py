"""Queries are decoded into structs; what does not fit is a 400."""

import contextlib
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.http import Problem
from weft.http.query import decode_query


class Page(msgspec.Struct):
    status: Literal["pending", "confirmed"] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    sku: list[str] = []


def refused(text: str) -> Problem:
    with pytest.raises(Problem) as caught:
        decode_query(text, Page)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Page()),
        ("status=pending&limit=7", Page(status="pending", limit=7)),
        ("status=&limit=&cursor=", Page()),
        ("cursor=a%20b+c%2B", Page(cursor="a b c+")),
        ("sku=A&sku=B", Page(sku=["A", "B"])),
        ("unknown=1", Page()),
        ("limit=5&limit=5", Page(limit=5)),
    ],
)
def test_a_good_query_is_decoded(text: str, expected: Page) -> None:
    assert decode_query(text, Page) == expected


@pytest.mark.parametrize(
    "text",
    [
        "limit=0",
        "limit=201",
        "limit=ten",
        "limit=1.5",
        "limit=1_0",
        "limit=%EF%BC%91",
        "limit=1&limit=2",
        "status=lost",
        "cursor=%ff",
        "cursor=%zz",
        "cursor=%",
        "cursor=%00",
        "a%00=1",
        "limit=" + "9" * 30,
        "limit=" + "9" * 5000,
        "&".join(f"a{n}=1" for n in range(101)),
    ],
)
def test_a_bad_query_is_a_400(text: str) -> None:
    assert refused(text).status == 400


def test_the_wrong_parameter_is_named() -> None:
    assert [error.path for error in refused("limit=0").errors] == ["/limit"]


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_any_text_ends_in_a_value_or_a_400(text: str) -> None:
    with contextlib.suppress(Problem):
        decode_query(text, Page)
