"""Requests out of bounds: each has its status and a problem document, and none is a 500."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.end_to_end.outside import Door, an_order, has_ids, is_problem, raw

Caller = Callable[..., Door]
MIB = 1 << 20
GOOD = json.dumps(an_order("SKU-0001")).encode()


def changed(**members: str) -> bytes:
    """Return the text of an order with the JSON texts `members` in place of its own."""
    line = f'{{"sku": {members.pop("sku", json.dumps("SKU-0001"))}, '
    line += f'"quantity": {members.pop("quantity", "1")}}}'
    whole = {"items": f"[{line}]", "payment": '{"token": "tok_ok"}', **members}
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in whole.items()) + "}").encode()


def request_of(
    door: Door, method: str, path: str, *lines: str, body: bytes = b"", close: bool = True
) -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {door.token}"]
    head += ["Content-Type: application/json", "Idempotency-Key: raw", *lines]
    head += ["Connection: close"] if close else []
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        GOOD + b"x",
        GOOD + GOOD,
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        changed(note='"\xff"')[:-3] + b'\xff"}',
        changed(sku='"SKU\0"'),
        changed(sku='"\\ud800"'),
        changed(quantity="01"),
        changed(quantity="NaN"),
        changed(note="[" * 33 + "]" * 33),
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"[" * (MIB // 2) + b"]" * (MIB // 2),
        GOOD.replace(b'"', b"'"),
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_what_cannot_be_parsed_is_a_bad_request(caller: Caller, body: bytes) -> None:
    is_problem(await caller().place(body), 400)


@pytest.mark.parametrize("key", ["raw", "another"])
async def test_two_idempotency_keys_are_a_bad_request(caller: Caller, key: str) -> None:
    door = caller()
    lines = (f"Idempotency-Key: {key}", f"Content-Length: {len(GOOD)}")
    answer = await raw(door.url, request_of(door, "POST", "/v1/orders", *lines, body=GOOD))
    is_problem(answer, 400)
    assert "Idempotency-Key" in answer.json["detail"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"null", ""),
        (b"[]", ""),
        (b'"text"', ""),
        (b"{}", "/items"),
        (b"{}", "/payment"),
        (changed(items="[]"), "/items"),
        (changed(items="{}"), "/items"),
        (changed(items="[null]"), "/items/0"),
        (changed(items="[" + '{"sku": "A", "quantity": 1},' * 100 + "{}]"), "/items/100/sku"),
        (changed(quantity="0"), "/items/0/quantity"),
        (changed(quantity="-1"), "/items/0/quantity"),
        (changed(quantity="1001"), "/items/0/quantity"),
        (changed(quantity="1.5"), "/items/0/quantity"),
        (changed(quantity='"1"'), "/items/0/quantity"),
        (changed(quantity="true"), "/items/0/quantity"),
        (changed(quantity="null"), "/items/0/quantity"),
        (changed(quantity="1" + "0" * 30), "/items/0/quantity"),
        (changed(quantity="1" * 20_000), "/items/0/quantity"),
        (changed(quantity="1e400"), "/items/0/quantity"),
        (changed(quantity="-1e400"), "/items/0/quantity"),
        (changed(quantity="9223372036854775808"), "/items/0/quantity"),
        (changed(sku='""'), "/items/0/sku"),
        (changed(sku='"' + "A" * 41 + '"'), "/items/0/sku"),
        (changed(sku='"SKU\\u0000"'), "/items/0/sku"),
        (changed(sku='"SKU-0001\\n"'), "/items/0/sku"),
        (changed(sku='"\u00dcBER"'), "/items/0/sku"),
        (changed(sku='"NO-SUCH-SKU"'), "/items/0/sku"),
        (changed(sku='"sku-0001"'), "/items/0/sku"),
        (changed(payment="null"), "/payment"),
        (changed(payment="{}"), "/payment/token"),
        (changed(payment='{"token": "4111111111111111"}'), "/payment/token"),
        (changed(payment='{"token": "tok_"}'), "/payment/token"),
        (changed(payment='{"token": "tok_OK"}'), "/payment/token"),
        (changed(payment='{"token": "tok_ok1"}'), "/payment/token"),
        (changed(payment='{"token": "tok_ok\\n"}'), "/payment/token"),
        (changed(quantity='5000, "quantity": 1'), "/items/0/quantity"),
    ],
    ids=lambda part: repr(part)[-50:],
)  # fmt: skip
async def test_wrong_content_is_unprocessable_and_pointed_at(
    caller: Caller, body: bytes, path: str
) -> None:
    answer = await caller().place(body)
    is_problem(answer, 422)
    assert path in answer.paths


async def test_more_than_a_hundred_items_are_unprocessable(caller: Caller) -> None:
    items = [{"sku": "SKU-0001", "quantity": 1}] * 101
    answer = await caller().place(an_order("SKU-0001") | {"items": items})
    is_problem(answer, 422)
    assert answer.paths == ["/items"]


async def test_every_wrong_field_is_named(caller: Caller) -> None:
    body = {"items": [{"sku": "", "quantity": 0}], "payment": {"token": "x"}}
    answer = await caller().place(body)
    assert answer.paths == ["/items/0/sku", "/items/0/quantity", "/payment/token"]


async def test_bounds_themselves_are_within_bounds(caller: Caller) -> None:
    door = caller()
    sku = await door.product(stock=0)
    hundred = {"items": [{"sku": sku, "quantity": 1000}] * 100, "payment": {"token": "tok_ok"}}
    assert (await door.place(hundred)).status == 202
    good = json.dumps(an_order(sku)).encode()
    assert (await door.place(good + b" " * (MIB - len(good)))).status == 202
    deep = good[:-1] + b', "note": ' + b"[" * 31 + b"]" * 31 + b"}"
    assert (await door.place(deep)).status == 202
    text = good[:-1] + b', "note": "\\"' + b"[" * 100 + b'"}'
    assert (await door.place(text)).status == 202


async def test_a_body_beyond_a_mebibyte_is_too_large(caller: Caller) -> None:
    door = caller()
    large = GOOD + b" " * (MIB + 1 - len(GOOD))
    is_problem(await door.place(large), 413)
    is_problem(await door.ask("PUT", "/v1/products/TOO-LARGE", large), 413)
    lines = ("Transfer-Encoding: chunked",)
    is_problem(
        await raw(door.url, request_of(door, "POST", "/v1/orders", *lines, body=chunked(large))),
        413,
    )
    lines = (f"Content-Length: {100 * MIB}",)
    is_problem(await raw(door.url, request_of(door, "POST", "/v1/orders", *lines)), 413)


async def test_a_body_in_chunks_is_as_good_as_any(caller: Caller) -> None:
    door = caller()
    body = chunked(json.dumps(an_order(await door.product(stock=1))).encode())
    sent = request_of(door, "POST", "/v1/orders", "Transfer-Encoding: chunked", body=body)
    assert (await raw(door.url, sent)).status == 202


@pytest.mark.parametrize(
    "media",
    ["text/plain", "", "json", "application/jsonx", "application/json; charset=latin-1",
     "application/x-www-form-urlencoded"],
)  # fmt: skip
async def test_a_body_of_another_type_is_unsupported(caller: Caller, media: str) -> None:
    is_problem(await caller().place(GOOD, headers={"Content-Type": media}), 415)


async def test_a_compressed_body_is_unsupported(caller: Caller) -> None:
    is_problem(await caller().place(GOOD, headers={"Content-Encoding": "gzip"}), 415)


async def test_a_body_that_does_not_come_is_waited_for_within_bounds(caller: Caller) -> None:
    door = caller()
    halves = (
        (["Content-Length: 100"], b'{"items'),
        (["Transfer-Encoding: chunked"], b'7\r\n{"items\r\n'),
    )
    asked = [
        raw(door.url, request_of(door, "POST", "/v1/orders", *lines, body=body))
        for lines, body in halves
    ]
    for answer in await asyncio.gather(*asked):
        is_problem(answer, 408)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("OPTIONS", "/v1/orders", "GET, HEAD, POST"),
        ("DELETE", "/v1/orders", "GET, HEAD, POST"),
        ("PATCH", "/v1/products/SKU-0001", "GET, HEAD, PUT"),
        ("POST", "/v1/products", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("TRACE", "/", "GET, HEAD"),
    ],
)
async def test_other_methods_are_not_allowed(
    caller: Caller, method: str, path: str, allowed: str
) -> None:
    answer = await caller().ask(method, path)
    is_problem(answer, 405)
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize(
    "path",
    ["/nope", "/v1", "/v1/", "/v1/orders/", "//v1/orders", "/v1/orders/..", "/v1/orders/%2e%2e",
     "/v1/products/SKU-0001%2F", "/v1/products/%00", "/v1/products/SKU-0001%0a", "/v1/products/%zz",
     "/v1/products/NO-SUCH-SKU", "/v1/products/sku-0001", "/%2e%2e/v1/orders"],
)  # fmt: skip
async def test_a_path_that_leads_nowhere_is_not_found(caller: Caller, path: str) -> None:
    is_problem(await caller().get(path), 404)


@pytest.mark.parametrize(
    "path",
    ["/v1/products/%ff", "/v1/orders?limit=0", "/v1/orders?limit=201", "/v1/orders?limit=x",
     "/v1/orders?limit=-1", "/v1/orders?limit=1.5", "/v1/orders?limit=1e400",
     "/v1/orders?limit=" + "9" * 5000, "/v1/orders?limit=%00", "/v1/orders?limit=%ff",
     "/v1/orders?limit=%zz", "/v1/orders?limit=1&limit=2", "/v1/orders?status=lost",
     "/v1/orders?cursor=x", "/v1/orders?cursor=" + "A" * 22, "/v1/products?limit=0",
     "/v1/products?limit=201", "/v1/products?limit=x", "/v1/products?cursor=MA",
     "/v1/products?cursor=%00", "/v1/products?" + "&".join(f"a{i}=1" for i in range(101))],
    ids=lambda path: path[:40],
)  # fmt: skip
async def test_a_query_that_cannot_be_read_is_a_bad_request(caller: Caller, path: str) -> None:
    is_problem(await caller().get(path), 400)


async def test_the_cursor_of_another_list_or_an_altered_one_is_a_bad_request(
    caller: Caller,
) -> None:
    door = caller()
    cursor = (await door.get("/v1/products?limit=1")).json["next"]
    is_problem(await door.get(f"/v1/orders?cursor={cursor}"), 400)
    for wrong in (cursor[:-1], cursor + "x", cursor[::-1], cursor.swapcase()):
        is_problem(await door.get(f"/v1/products?cursor={wrong}"), 400)


@pytest.mark.parametrize("path", ["/healthz", "/v1/products", "/v1/products/SKU-0001", "/"])
async def test_head_is_get_without_a_body(caller: Caller, path: str) -> None:
    door = caller()
    head, get = await door.ask("HEAD", path), await door.get(path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    has_ids(head)


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {400}),
        (b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n", {400, 505}),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
        (b"BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n", {400, 405, 501}),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\x01\r\n\r\n", {400}),
        (b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 20_000), {431}),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: %b\r\n\r\n" % (b"a" * 20_000), {431}),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n%b\r\n" % (b"A: b\r\n" * 5_000), {431}),
        (b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", {400}),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", {400}),
        (b"PUT / HTTP/1.1\nHost: x\nContent-Length: 5\nTransfer-Encoding: chunked\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-API-Key: \xff\r\n\r\n", {200, 400}),
        (b"GET /v1/orders HTTP/1.1\r\nHost: x\r\nX-API-Key: \xff\r\n\r\n", {400, 401}),
        (b"GET /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n", {400, 401}),
    ],
    ids=lambda part: repr(part)[:60],
)  # fmt: skip
async def test_bytes_that_are_hardly_http_have_an_answer_too(
    stranger: Door, sent: bytes, statuses: set[int]
) -> None:
    answer = await raw(stranger.url, sent)
    assert answer.status in statuses, answer
    has_ids(answer)
    if answer.status >= 400:
        is_problem(answer, answer.status)
    assert "aiohttp" not in answer.headers["server"]


async def test_a_body_with_broken_chunks_is_a_bad_request(caller: Caller) -> None:
    door = caller()
    body = b"zz\r\n{}\r\n0\r\n\r\n"
    sent = request_of(door, "POST", "/v1/orders", "Transfer-Encoding: chunked", body=body)
    is_problem(await raw(door.url, sent), 400)


async def test_a_refused_request_does_not_spoil_the_next_on_its_connection(
    caller: Caller,
) -> None:
    door = caller()

    async def ask(path: str, body: Any = None) -> int:
        return (await door.ask("GET" if body is None else "POST", path, body)).status

    for _ in range(3):
        assert await ask("/v1/orders", b"[" * 5000) == 400
        assert await ask("/nope", GOOD) == 404
        assert await ask("/healthz") == 200


async def test_many_bad_requests_at_once_leave_the_door_open(caller: Caller) -> None:
    door = caller()
    bad = [door.place(b"[" * MIB) for _ in range(20)]
    assert {answer.status for answer in await asyncio.gather(*bad)} == {400}
    assert (await door.get("/v1/products?limit=1")).status == 200
