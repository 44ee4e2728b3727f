"""Bodies are decoded within bounds; what is out of bounds is a 400 or 422, never a 500."""

import contextlib
import time
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.http import FieldError, Problem
from weft.http.body import MAX_BODY, check_content_type, decode


class Item(msgspec.Struct):
    sku: str
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Order(msgspec.Struct):
    items: list[Item] = []
    note: str = ""
    prices: dict[str, int] = {}


ORDER = msgspec.json.Decoder(Order)
ANYTHING = msgspec.json.Decoder()


def refused(body: bytes, decoder: msgspec.json.Decoder[Any] = ORDER) -> Problem:
    with pytest.raises(Problem) as caught:
        decode(decoder, body)
    return caught.value


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 20_000, "-" + "1" * 400])
def test_a_number_beyond_all_types_is_found_where_it_stands(number: str) -> None:
    problem = refused(f'{{"items": [{{"sku": "a", "quantity": {number}}}]}}'.encode())

    assert problem.status == 422
    assert [error.path for error in problem.errors] == ["/items/0/quantity"]


def test_what_follows_a_number_beyond_all_types_must_be_json_too() -> None:
    assert refused(b'{"items": 1e400, "note": NaN}').status == 400
    assert refused(b'{"items": 1e400, "note": }').status == 400


def test_a_good_body_is_decoded() -> None:
    body = '{"items": [{"sku": "SKU-0001", "quantity": 2}], "note": "grüße"}'
    assert decode(ORDER, body.encode()) == Order([Item("SKU-0001", 2)], "grüße")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"items": [',
        b'{"items": []}]',
        b"\xef\xbb\xbf{}",
        b"{'items': []}",
        b"NaN",
        b'{"note": "\xff"}',
        b'{"unknown": "\xff"}',
        b'{"note": "\\ud800"}',
        b'{"note": "\x00"}',
        b'{"note": "\\u00"}',
        b"{}".decode().encode("utf-16"),
        b'"' * 3,
        b'{"items": 5, "note"',
    ],
)
def test_what_is_not_json_in_utf8_is_a_400(body: bytes) -> None:
    assert refused(body).status == 400


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"items": [{"sku": "A", "quantity": 0}]}', "/items/0/quantity"),
        (b'{"items": [{"sku": "A", "quantity": 1001}]}', "/items/0/quantity"),
        (b'{"items": [{"sku": "A", "quantity": "2"}]}', "/items/0/quantity"),
        (b'{"items": [{"sku": "A", "quantity": 1}, {"sku": "B"}]}', "/items/1/quantity"),
        (b'{"items": [{"sku": 7, "quantity": 1}]}', "/items/0/sku"),
        (b'{"items": {}}', "/items"),
        (b'{"items": null}', "/items"),
        (b"[]", ""),
        (b'{"prices": {"a/b": "x"}}', "/prices"),
    ],
)
def test_wrong_content_is_a_422_that_points_at_it(body: bytes, path: str) -> None:
    problem = refused(body)
    assert problem.status == 422
    assert [error.path for error in problem.errors] == [path]


def test_every_wrong_field_is_told() -> None:
    body = b'{"items": [{"sku": 1, "quantity": 0}, {"quantity": "x"}, 7], "note": null, "more": 1}'
    problem = refused(body)
    assert problem.status == 422
    assert {error.path: error.message for error in problem.errors} == {
        "/items/0/sku": "Expected `str`, got `int`",
        "/items/0/quantity": "Expected `int` >= 1",
        "/items/1/quantity": "Expected `int`, got `str`",
        "/items/1/sku": "Object missing required field `sku`",
        "/items/2": "Expected `object`, got `int`",
        "/note": "Expected `str`, got `null`",
    }


def test_a_list_that_is_too_long_is_told_as_a_whole() -> None:
    decoder = msgspec.json.Decoder(Annotated[list[int], msgspec.Meta(max_length=2)])
    assert [error.path for error in refused(b"[1, 2, 3]", decoder).errors] == [""]


def test_many_wrong_items_cost_little_time() -> None:
    began = time.process_time()
    body = b'{"items": [' + b"{}," * 300_000 + b"7]}"
    assert len(refused(body).errors) == 20
    assert len(refused(b'{"items": [' + b"1," * 400_000 + b'"x"]}').errors) == 20
    good = b'{"sku":"A","quantity":1},' * 40_000
    assert [e.path for e in refused(b'{"items": [' + good + b"7]}").errors] == ["/items/40000"]
    assert time.process_time() - began < 3.0


def test_integers_beyond_64_bits_are_refused_wherever_they_stand() -> None:
    for number in ("9" * 30, "-" + "9" * 30, str(1 << 63), "9" * 5000):
        problem = refused(b'{"a": {"b~/": [1, %s]}}' % number.encode(), ANYTHING)
        assert problem.status == 422
        if len(number) < 100:
            assert problem.errors == (FieldError("/a/b~0~1/1", "Integer value out of range"),)


def test_the_largest_integers_of_64_bits_are_taken() -> None:
    numbers = [(1 << 63) - 1, -(1 << 63)]
    assert decode(ANYTHING, msgspec.json.encode(numbers)) == numbers


def test_digits_in_a_string_are_not_an_integer() -> None:
    assert decode(ORDER, b'{"note": "%s"}' % (b"9" * 30)).note == "9" * 30


def test_nul_is_refused_in_values_and_names() -> None:
    assert refused(b'{"note": "a\\u0000"}').errors == (FieldError("/note", "NUL is not allowed"),)
    assert refused(b'{"prices": {"\\u0000": 1}}').errors[0].path == "/prices"


def test_an_escaped_backslash_before_u0000_is_not_nul() -> None:
    assert decode(ORDER, rb'{"note": "\\u0000"}').note == r"\u0000"


def test_no_more_errors_are_told_than_a_person_reads() -> None:
    body = b"[" + b",".join([b'"\\u0000"'] * 1000) + b"]"
    assert len(refused(body, ANYTHING).errors) == 20


@pytest.mark.parametrize("pair", [b"[]", b'{"a":}'])
def test_nesting_is_bounded_at_32(pair: bytes) -> None:
    opening, closing = pair[:-1], pair[-1:]
    deepest = opening * 31 + b"[]" + closing * 31
    assert decode(ANYTHING, deepest) is not None
    assert refused(opening * 32 + b"[]" + closing * 32, ANYTHING).status == 400


def test_brackets_in_strings_and_side_by_side_are_not_nesting() -> None:
    assert decode(ORDER, b'{"note": "%s"}' % (b"[" * 500)).note == "[" * 500
    assert decode(ORDER, b'{"note": "%s\\""}' % (b"{" * 500)).note == "{" * 500 + '"'
    assert len(decode(ANYTHING, b"[" + b"[],{}," * 500 + b"[]]")) == 1001


@pytest.mark.parametrize(
    "body",
    [
        b"[" * MAX_BODY,
        b"[]" * (MAX_BODY // 2),
        b"{" * MAX_BODY,
        b'"' + b'\\"' * (MAX_BODY // 2 - 1),
        b'"' + b"[" * 40 + b'\\"' * (MAX_BODY // 2 - 40),
        b'["' + b"\\" * (MAX_BODY - 2),
        b'"[]' * (MAX_BODY // 3),
        b"9" * MAX_BODY,
        (b"9" * 18 + b",") * (MAX_BODY // 19),
        b"[" * 32 + b"[]," * (MAX_BODY // 4),
        b'{"a":' * (MAX_BODY // 5),
        b"\\u0000" * (MAX_BODY // 6),
    ],
)
def test_a_hostile_body_of_a_mebibyte_costs_little_time(body: bytes) -> None:
    began = time.process_time()
    assert refused(body, ANYTHING).status in (400, 422)
    assert time.process_time() - began < 1.0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.binary() | JSON.map(lambda value: msgspec.json.encode(value, enc_hook=str)))
def test_any_bytes_end_in_a_value_or_a_problem(body: bytes) -> None:
    for decoder in (ORDER, ANYTHING):
        with contextlib.suppress(Problem):
            decode(decoder, body)


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/merge-patch+json",
    ],
)
def test_json_in_utf8_is_a_good_content_type(value: str) -> None:
    check_content_type(value)


@pytest.mark.parametrize(
    "value",
    [None, "", "text/plain", "application/xml", "application/json; charset=latin-1", "json"],
)
def test_any_other_content_type_is_a_415(value: str | None) -> None:
    with pytest.raises(Problem) as caught:
        check_content_type(value)
    assert caught.value.status == 415
