import asyncio
import json
import uuid
from typing import Any

import asyncpg
import pytest
from multidict import CIMultiDict

from services.orders import messages
from services.orders.placement import AT_ONCE
from tests.integration.orders.kit import Orders, Peers, order, until
from weft.postgres import KeyedRequest

GOOD = order()


def changed(**fields: Any) -> dict[str, Any]:
    return GOOD | fields


def items(*lines: Any) -> dict[str, Any]:
    return changed(items=list(lines))


WRONG: list[tuple[Any, str | None]] = [
    ({}, "/items"),
    ([], ""),
    ("text", ""),
    (items(), "/items"),
    (items(*[{"sku": "A", "quantity": 1}] * 101), "/items"),
    (items({"sku": "SKU-0001", "quantity": 0}), "/items/0/quantity"),
    (items({"sku": "SKU-0001", "quantity": 1001}), "/items/0/quantity"),
    (items({"sku": "SKU-0001", "quantity": 10**30}), None),
    (items({"sku": "SKU-0001", "quantity": 1.5}), "/items/0/quantity"),
    (items({"sku": "SKU-0001", "quantity": "2"}), "/items/0/quantity"),
    (items({"sku": "SKU-0001", "quantity": True}), "/items/0/quantity"),
    (items({"sku": "SKU-0001"}), "/items/0/quantity"),
    (items({"sku": "", "quantity": 1}), "/items/0/sku"),
    (items({"sku": "x" * 41, "quantity": 1}), "/items/0/sku"),
    (items({"sku": "SKU 1", "quantity": 1}), "/items/0/sku"),
    (items({"sku": "SKU-0001\n", "quantity": 1}), "/items/0/sku"),
    (items({"sku": "SKU\x00", "quantity": 1}), None),
    (items({"sku": "SKU-0001", "quantity": 1}, {"sku": "NONE", "quantity": 1}), "/items/1/sku"),
    (changed(payment={}), "/payment/token"),
    (changed(payment={"token": "4111111111111111"}), "/payment/token"),
    (changed(payment={"token": "tok_OK"}), "/payment/token"),
    (changed(payment={"token": "tok_ok\n"}), "/payment/token"),
    (changed(payment=None), "/payment"),
]


async def test_valid_json_with_wrong_content_is_a_422_that_points_at_the_field(
    orders: Orders,
) -> None:
    for body, path in WRONG:
        status, problem, headers = await orders.post(body)
        assert status == 422, (body, problem)
        assert headers["Content-Type"] == "application/problem+json"
        assert {"type", "title", "status", "errors"} <= problem.keys(), body
        if path is not None:
            assert path in [error["path"] for error in problem["errors"]], body


async def test_what_is_not_json_of_ours_is_refused_by_kind(orders: Orders) -> None:
    deep = b"[" * 5000 + b"]" * 5000
    json_type = "application/json"
    cases: list[tuple[bytes, str, int]] = [
        (b"", json_type, 400),
        (b"{", json_type, 400),
        (b'{"items": "\xff"}', json_type, 400),
        (deep, json_type, 400),
        (json.dumps(GOOD).encode(), "text/plain", 415),
        (b" " * ((1 << 20) + 1), json_type, 413),
    ]
    for body, content_type, expected in cases:
        headers = orders.headers("alice") | {
            "Content-Type": content_type,
            "Idempotency-Key": uuid.uuid4().hex,
        }
        async with orders.session.post("/v1/orders", data=body, headers=headers) as response:
            problem = await response.json(content_type=None)
            assert (response.status, problem["status"]) == (expected, expected), body[:40]


async def test_credentials_scopes_methods_and_keys_are_checked(orders: Orders) -> None:
    async def status(method: str, path: str, **headers: str) -> int:
        async with orders.session.request(method, path, headers=headers, json=GOOD) as response:
            return response.status

    def as_(*scopes: str) -> dict[str, str]:
        return orders.headers("alice", scopes)

    key = {"Idempotency-Key": "k"}
    assert await status("POST", "/v1/orders", **key) == 401
    assert await status("POST", "/v1/orders", **key, **as_("orders:read")) == 403
    assert await status("GET", "/v1/orders", **as_("inventory:write")) == 403
    assert await status("GET", "/v1/orders", **as_("orders:write")) == 200
    assert await status("POST", "/v1/orders", **as_("orders:write")) == 400
    long_key = {"Idempotency-Key": "k" * 256}
    assert await status("POST", "/v1/orders", **long_key, **as_("orders:write")) == 400
    assert await status("DELETE", "/v1/orders", **as_("orders:write")) == 405


async def test_the_same_key_gives_the_same_order_and_another_body_is_refused(
    orders: Orders, peers: Peers
) -> None:
    first = await orders.post(GOOD, key="again")
    second = await orders.post(GOOD, key="again")
    assert first[:2] == second[:2]
    assert "Idempotent-Replayed" not in first[2]
    assert second[2]["Idempotent-Replayed"] == "true"
    assert first[2]["x-trace-id"] != second[2]["x-trace-id"]
    status, problem, _ = await orders.post(order(("SKU-0001", 3)), key="again")
    assert (status, problem["status"]) == (422, 422)
    other = await orders.post(GOOD, key="again", subject="bob")
    assert other[1]["order_id"] != first[1]["order_id"]
    await orders.ended(first[1]["order_id"])
    _, listed = await orders.get("/v1/orders")
    assert [each["order_id"] for each in listed["orders"]] == [first[1]["order_id"]]
    assert peers.commands(first[1]["order_id"]).count("ReserveStock") == 1


async def test_one_key_many_times_at_once_is_one_order(orders: Orders) -> None:
    answers = await asyncio.gather(*(orders.post(GOOD, key="at-once") for _ in range(20)))
    assert {status for status, _, _ in answers} <= {202, 409}
    assert len({body["order_id"] for status, body, _ in answers if status == 202}) == 1
    _, listed = await orders.get("/v1/orders")
    assert len(listed["orders"]) == 1


async def test_a_key_in_progress_is_a_409_that_says_when_to_come_again(orders: Orders) -> None:
    scope = {"subject": orders.customer, "method": "POST", "path": "/v1/orders"}
    lock = KeyedRequest.of(**scope, key="held", body=b"").lock
    connection = await asyncpg.connect(orders.environment["WEFT_DATABASE_URL"])
    try:
        await connection.execute(f"SELECT pg_advisory_lock({lock})")
        status, problem, headers = await orders.post(GOOD, key="held")
        assert (status, problem["status"], headers["Retry-After"]) == (409, 409, "1")
        assert (await orders.post(GOOD, key="another"))[0] == 202
    finally:
        await connection.close()

    async def answer() -> tuple[int, Any, Any] | None:
        found = await orders.post(GOOD, key="held")
        return found if found[0] != 409 else None

    status, _, headers = await until(answer)
    assert (status, "Idempotent-Replayed" in headers) == (202, False)


async def test_what_is_no_product_is_as_good_as_no_answer(stopped_orders: Orders) -> None:
    orders = stopped_orders
    async with orders.inventory({"SKU-0001": "much"}):
        await orders.start()
        status, answer, _ = await orders.post(GOOD)
    assert status == 503, answer


async def test_an_answer_of_the_500s_is_not_stored(stopped_orders: Orders) -> None:
    orders = stopped_orders
    await orders.start()
    status, answer, headers = await orders.post(GOOD, key="away")
    assert status == 503, answer
    assert int(headers["Retry-After"]) >= 1
    async with orders.inventory({"SKU-0001": "6.25"}):

        async def answer() -> tuple[int, Any, Any] | None:
            found = await orders.post(GOOD, key="away")
            return found if found[0] != 503 else None

        status, _, headers = await until(answer)
        assert (status, "Idempotent-Replayed" in headers) == (202, False)


@pytest.mark.parametrize("keys", [("a", "b"), ("a", "a"), ("",)], ids=repr)
async def test_two_keys_or_an_empty_one_are_a_bad_request(
    orders: Orders, keys: tuple[str, ...]
) -> None:
    headers = CIMultiDict(orders.headers(orders.customer))
    for key in keys:
        headers.add("Idempotency-Key", key)
    async with orders.session.post("/v1/orders", json=GOOD, headers=headers) as response:
        assert response.status == 400
    _, listed = await orders.get("/v1/orders")
    assert listed["orders"] == []


async def test_however_many_orders_come_in_those_on_their_way_find_a_connection(
    orders: Orders, peers: Peers
) -> None:
    peers.answers["ReserveStock"] = None
    first = await orders.place()
    admin = await asyncpg.connect(orders.environment["WEFT_DATABASE_URL"])
    held = admin.transaction()
    await held.start()
    await admin.execute("LOCK TABLE weft.idempotency_keys IN ACCESS EXCLUSIVE MODE")
    many = [asyncio.create_task(orders.post(GOOD)) for _ in range(30)]

    async def waiting() -> int:
        sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database ="
        count: int = await admin.fetchval(
            f"{sql} (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return count

    await until(waiting)
    await peers.say(messages.StockRejected(order_id=first))
    assert (await orders.ended(first))["reason"] == "out_of_stock"
    assert 1 <= await waiting() <= AT_ONCE
    await held.rollback()
    await admin.close()
    assert {status for status, _, _ in await asyncio.gather(*many)} == {202}


async def test_an_order_refused_for_its_content_leaves_its_key_free(orders: Orders) -> None:
    status, _, _ = await orders.post(order(("NEW-1", 1)), key="retry")
    assert status == 422
    status, _, _ = await orders.post(GOOD, key="retry")
    assert status == 202


async def test_products_are_known_from_events_and_inventory_is_asked_only_on_a_miss(
    stopped_orders: Orders, peers: Peers
) -> None:
    orders = stopped_orders
    await orders.start()
    status, problem, headers = await orders.post(GOOD)
    assert (status, problem["status"]) == (503, 503)
    assert int(headers["Retry-After"]) >= 1

    async def told(price: int, revision: int) -> None:
        await peers.say(
            messages.ProductSet(
                sku="SKU-0001", name="Cup", price_minor=price, currency="EUR", revision=revision
            )
        )

    await told(150, 2)

    async def accepted() -> dict[str, Any] | None:
        status, answer, _ = await orders.post(GOOD)
        return answer if status == 202 else None

    placed = await until(accepted)
    await told(999, 1)
    await told(175, 3)

    async def total() -> str:
        answer = await accepted()
        assert answer is not None
        _, seen = await orders.get(f"/v1/orders/{answer['order_id']}")
        return str(seen["total"]["amount"])

    async def is_new() -> bool:
        amount = await total()
        assert amount in ("3.00", "3.50")
        return amount == "3.50"

    await until(is_new)
    _, seen = await orders.get(f"/v1/orders/{placed['order_id']}")
    assert seen["items"] == [
        {
            "sku": "SKU-0001",
            "name": "Cup",
            "quantity": 2,
            "price": {"amount": "1.50", "currency": "EUR"},
        }
    ]


@pytest.mark.parametrize(
    "order_id", ["nothing", "019a0d4b-5f10-7c4e-8a3e-0a8f5a3c9b11", "%00", "x" * 300]
)
async def test_an_order_that_is_unknown_or_anothers_is_not_found(
    orders: Orders, order_id: str
) -> None:
    assert (await orders.get(f"/v1/orders/{order_id}"))[0] in (400, 404)
    mine = await orders.place()
    assert (await orders.get(f"/v1/orders/{mine}", subject="bob"))[0] == 404
    assert (await orders.get(f"/v1/orders/{mine}"))[0] == 200


async def test_synthetic_orders_leave_room_for_customers_in_the_operators_list(
    orders: Orders,
) -> None:
    for _ in range(3):  # earlier tests' orders may have been the newest
        customers = await orders.place()
    synthetic = orders.headers("traffic", ("orders:write", "synthetic"))
    for _ in range(6):
        status, newest, _ = await orders.post(GOOD, **synthetic)
        assert status == 202
    forged, _, _ = await orders.post(GOOD, subject="bob", baggage="weft.synthetic=true")
    assert forged == 202
    sent = orders.headers("me", ("ops",))
    async with orders.session.get("/ops/orders?limit=5", headers=sent) as response:
        shown = (await response.json())["orders"]
    assert [each["subject"] for each in shown[:2]] == ["bob", "traffic"]
    assert [each["order_id"] for each in shown[1:3]] == [newest["order_id"], customers]
    assert len(shown) == 5
    assert all(each["subject"] not in ("bob", "traffic") for each in shown[2:])


async def test_a_list_shows_ones_own_orders_newest_first_page_by_page(
    orders: Orders, peers: Peers
) -> None:
    placed = [await orders.place() for _ in range(7)]
    for order_id in placed:
        await orders.ended(order_id)
    peers.answers["ReserveStock"] = messages.StockRejected
    rejected = await orders.place()
    await orders.ended(rejected)
    await orders.post(GOOD, subject="bob")
    found, path = [], "/v1/orders?limit=3"
    for _ in range(3):
        status, page = await orders.get(path)
        assert status == 200
        found += [each["order_id"] for each in page["orders"]]
        path = f"/v1/orders?limit=3&cursor={page['next']}"
    assert page["next"] is None
    assert found == [rejected, *reversed(placed)]
    _, page = await orders.get("/v1/orders?status=rejected")
    assert [each["order_id"] for each in page["orders"]] == [rejected]
    assert page["orders"][0]["reason"] == "out_of_stock"
    for wrong in ("limit=0", "limit=201", "limit=x", "status=lost", "cursor=abc", "cursor=%ff"):
        assert (await orders.get(f"/v1/orders?{wrong}"))[0] == 400, wrong
