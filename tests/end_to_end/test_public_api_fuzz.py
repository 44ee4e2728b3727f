"""Whatever is sent, the door answers, and never with a 500."""

import asyncio
import json
import random
import string
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.end_to_end.outside import Answer, Door, has_ids, is_problem, raw

Caller = Callable[..., Door]
SECONDS = 8.0
GOOD = b'{"items": [{"sku": "SKU-0001", "quantity": 0}], "payment": {"token": "tok_ok"}}'

numbers: SearchStrategy[Any] = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, -1, 1, 1000, 1001, 2**31, 2**63, 2**64, 10**30])
)
leaves: SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), numbers, st.text(max_size=30), st.sampled_from(["SKU-0001", "\0"])
)
values: SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["items", "sku", "token", "x", "\0"]), inner, max_size=4),
    ),
    max_leaves=12,
)
lines = st.one_of(
    values,
    st.fixed_dictionaries({"sku": st.one_of(st.just("NO-SUCH-SKU"), leaves), "quantity": leaves}),
)
orders = st.fixed_dictionaries(
    {
        "items": st.one_of(st.lists(lines, max_size=4), values),
        "payment": st.one_of(st.fixed_dictionaries({"token": leaves}), values),
    }
)
texts = st.one_of(st.text(max_size=20), st.sampled_from(["..", "%", "%2f", "\0", "é", "1e400"]))
starts = st.sampled_from(["/v1/orders", "/v1/products", "/v1/products/", "/v1/orders/", "/"])
names = st.sampled_from(["limit", "cursor", "status", "x"])
products = st.fixed_dictionaries(
    {
        "name": leaves,
        "price": st.fixed_dictionaries({"amount": leaves, "currency": leaves}),
        "stock": leaves,
    }
)


fuzzed = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def door(caller: Caller) -> Door:
    return caller()


def answered(answer: Answer, sent: object) -> None:
    assert answer.status < 500, (answer, sent)
    has_ids(answer)
    if answer.status >= 400:
        is_problem(answer, answer.status)


@fuzzed
@given(value=st.one_of(orders, values))
async def test_no_json_for_an_order_makes_a_500(door: Door, value: Any) -> None:
    body = json.dumps(value).encode()
    answered(await door.place(body), body)


@fuzzed
@given(value=st.one_of(products, values))
async def test_no_json_for_a_product_makes_a_500(door: Door, value: Any) -> None:
    body = json.dumps(value).encode()
    answered(await door.ask("PUT", "/v1/products/API-FUZZ", body), body)


@fuzzed
@given(at=st.integers(0, len(GOOD)), put=st.binary(max_size=6), skip=st.integers(0, 9))
async def test_no_bytes_in_a_body_make_a_500(door: Door, at: int, put: bytes, skip: int) -> None:
    body = GOOD[:at] + put + GOOD[at + skip :]
    answered(await door.place(body), body)


@fuzzed
@given(start=starts, tail=texts, query=st.lists(st.tuples(names, texts), max_size=3))
async def test_no_path_or_query_makes_a_500(
    door: Door, start: str, tail: str, query: list[tuple[str, str]]
) -> None:
    escaped = quote(tail, safe="/;", errors="replace") if start.endswith("/") else ""
    pairs = "&".join(f"{name}={quote(text, errors='replace')}" for name, text in query)
    target = f"{start}{escaped}" + (f"?{pairs}" if pairs else "")
    answered(await door.get(target), target)


async def test_no_bytes_on_the_line_make_a_500_or_close_the_door(door: Door) -> None:
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    head = f"POST /v1/orders?limit=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.token}\r\n"
    head += "Content-Type: application/json\r\nIdempotency-Key: k\r\nContent-Length: 2\r\n\r\n{}"
    marks = bytes(range(256)) + string.punctuation.encode() * 4 + b"\r\n\0" * 20

    async def mutant() -> None:
        sent = bytearray(head.encode())
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(sent))
            sent[at : at + chance.randint(0, 3)] = bytes(
                chance.choices(marks, k=chance.randint(0, 3))
            )
        try:
            answer = await raw(door.url, bytes(sent), seconds=0.5)
        except (TimeoutError, EOFError, ConnectionError):
            return  # it still waits for the rest, or the line was cut
        assert answer.status < 500, (answer, bytes(sent), seed)

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        await asyncio.gather(*(mutant() for _ in range(8)))
    assert (await door.get("/v1/products?limit=1")).status == 200
