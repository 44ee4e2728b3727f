"""Orders as their customers see them, from placing to every end that there is."""

import asyncio
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.end_to_end.outside import Door, an_order, is_problem

Caller = Callable[..., Door]
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


async def placed(door: Door, body: Any) -> str:
    answer = await door.place(body)
    assert answer.status == 202, answer.body
    order_id: str = answer.json["order_id"]
    return order_id


async def settled(door: Door, sku: str, numbers: tuple[int, int], seconds: float = 60) -> None:
    """Wait until a product has come to (stock, reserved)."""
    async with asyncio.timeout(seconds):
        while True:
            if await door.numbers(sku) == numbers:
                return
            await asyncio.sleep(0.1)


async def test_an_accepted_order_is_pending_and_tells_where_it_is(caller: Caller) -> None:
    door = caller()
    answer = await door.place(an_order(await door.product(stock=5)))
    assert answer.status == 202
    assert answer.headers["content-type"] == "application/json"
    order_id = answer.json["order_id"]
    assert UUID7.fullmatch(order_id)
    assert answer.json == {
        "order_id": order_id,
        "status": "pending",
        "links": {"self": f"/v1/orders/{order_id}"},
    }
    assert (await door.get(answer.json["links"]["self"])).status == 200


async def test_a_confirmed_order_tells_its_items_total_events_and_trace(caller: Caller) -> None:
    door = caller()
    first, second = await door.product(stock=9, amount="2.50"), await door.product(stock=9)
    items = [{"sku": first, "quantity": 2}, {"sku": second, "quantity": 3}]
    answer = await door.place({"items": items, "payment": {"token": "tok_ok"}})
    order = await door.finished(answer.json["order_id"])
    assert order["status"] == "confirmed"
    assert order["reason"] is None
    assert order["total"] == {"amount": "12.50", "currency": "EUR"}
    assert [(item["sku"], item["quantity"]) for item in order["items"]] == [(first, 2), (second, 3)]
    assert order["items"][0]["price"] == {"amount": "2.50", "currency": "EUR"}
    assert order["trace_id"] == answer.headers["x-trace-id"]
    kinds = [event["type"] for event in order["events"]]
    assert kinds == [
        "OrderPlaced",
        "StockReserved",
        "PaymentAuthorized",
        "PaymentCaptured",
        "StockCommitted",
        "OrderConfirmed",
    ]
    times = [datetime.fromisoformat(event["at"]) for event in order["events"]]
    assert times == sorted(times)
    assert all(at.tzinfo for at in times)
    assert await door.numbers(first) == (7, 0)


async def test_what_a_product_costs_later_does_not_change_an_order(caller: Caller) -> None:
    door = caller()
    sku = await door.product(stock=5, amount="1.00")
    order_id = await placed(door, an_order(sku))
    await door.put(sku, stock=5, amount="9.00")
    assert (await door.finished(order_id))["total"]["amount"] == "1.00"


@pytest.mark.parametrize("token", ["tok_ok", "tok_slow", "tok_flaky", "tok_async"])
async def test_payment_tokens_that_work_lead_to_a_confirmed_order(
    caller: Caller, token: str
) -> None:
    door = caller()
    sku = await door.product(stock=3)
    order = await door.finished(await placed(door, an_order(sku, 2, token)))
    assert (order["status"], order["reason"]) == ("confirmed", None)
    assert await door.numbers(sku) == (1, 0)


@pytest.mark.parametrize("token", ["tok_declined", "tok_nobodyknows", "tok_" + "a" * 200])
async def test_declined_and_unknown_payment_tokens_lead_to_a_rejected_order(
    caller: Caller, token: str
) -> None:
    door = caller()
    sku = await door.product(stock=3)
    order = await door.finished(await placed(door, an_order(sku, 2, token)))
    assert (order["status"], order["reason"]) == ("rejected", "payment_declined")
    await settled(door, sku, (3, 0))


async def test_a_provider_that_never_answers_leads_to_a_timed_out_order(caller: Caller) -> None:
    door = caller()
    sku = await door.product(stock=3)
    order_id = await placed(door, an_order(sku, 2, "tok_down"))
    order = await door.finished(order_id, seconds=90)
    assert (order["status"], order["reason"]) == ("rejected", "timed_out")
    await settled(door, sku, (3, 0))


async def test_more_than_there_is_leads_to_a_rejected_order_that_took_nothing(
    caller: Caller,
) -> None:
    door = caller()
    plenty, few = await door.product(stock=10), await door.product(stock=1)
    items = [{"sku": plenty, "quantity": 2}, {"sku": few, "quantity": 2}]
    order_id = await placed(door, {"items": items, "payment": {"token": "tok_ok"}})
    order = await door.finished(order_id)
    assert (order["status"], order["reason"]) == ("rejected", "out_of_stock")
    await settled(door, plenty, (10, 0))
    await settled(door, few, (1, 0))


async def test_a_product_on_two_lines_counts_twice(caller: Caller) -> None:
    door = caller()
    sku = await door.product(stock=3)
    twice = {"items": [{"sku": sku, "quantity": 2}] * 2, "payment": {"token": "tok_ok"}}
    order = await door.finished(await placed(door, twice))
    assert order["reason"] == "out_of_stock"
    assert await door.numbers(sku) == (3, 0)


async def test_the_last_pieces_are_sold_once(caller: Caller) -> None:
    door = caller()
    sku = await door.product(stock=5)
    ids = await asyncio.gather(*(placed(door, an_order(sku)) for _ in range(12)))
    orders = await asyncio.gather(*map(door.finished, ids))
    assert sorted(order["status"] for order in orders) == ["confirmed"] * 5 + ["rejected"] * 7
    assert await door.numbers(sku) == (0, 0)


async def test_the_same_key_gives_the_same_answer_and_one_order(caller: Caller) -> None:
    door = caller()
    sku = await door.product(stock=9)
    key = door.subject
    first = await door.place(an_order(sku), key)
    again = await door.place(an_order(sku), key)
    assert (again.status, again.body) == (first.status, first.body)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["x-trace-id"] != first.headers["x-trace-id"]
    await door.finished(first.json["order_id"])
    assert await door.numbers(sku) == (8, 0)
    assert len((await door.get("/v1/orders")).json["orders"]) == 1


async def test_a_key_with_another_body_is_unprocessable(caller: Caller) -> None:
    door = caller()
    sku = await door.product(stock=9)
    await door.place(an_order(sku), "k")
    is_problem(await door.place(an_order(sku, 2), "k"), 422)


async def test_a_key_is_its_users_own(caller: Caller) -> None:
    alice, bob = caller(), caller()
    sku = await alice.product(stock=9)
    answers = [await each.place(an_order(sku), "k") for each in (alice, bob)]
    assert [each.status for each in answers] == [202, 202]
    assert answers[0].json["order_id"] != answers[1].json["order_id"]


async def test_a_key_whose_request_was_refused_can_be_used_again(caller: Caller) -> None:
    door = caller()
    sku = await door.product(stock=9)
    is_problem(await door.place(an_order(sku, 0), "k"), 422)
    is_problem(await door.place(an_order("NOT-YET"), "k"), 422)
    assert (await door.place(an_order(sku), "k")).status == 202


async def test_one_key_many_times_at_once_makes_one_order(caller: Caller) -> None:
    door = caller()
    sku = await door.product(stock=9)
    answers = await asyncio.gather(*(door.place(an_order(sku), "k") for _ in range(10)))
    assert {each.status for each in answers} <= {202, 409}
    ids = {each.json["order_id"] for each in answers if each.status == 202}
    assert len(ids) == 1
    for each in answers:
        if each.status == 409:
            is_problem(each, 409)
            assert int(each.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("key", ["a" * 255, 'with spaces, "quotes" and /slashes\\', "~"])
async def test_any_255_printable_characters_are_a_key(caller: Caller, key: str) -> None:
    door = caller()
    assert (await door.place(an_order(await door.product(stock=1)), key)).status == 202


@pytest.mark.parametrize("key", ["a" * 256, "é", "a\tb"])
async def test_other_keys_are_a_bad_request(caller: Caller, key: str) -> None:
    is_problem(await caller().place(an_order("SKU-0001"), key), 400)


async def test_an_order_without_a_key_is_a_bad_request(caller: Caller) -> None:
    is_problem(await caller().ask("POST", "/v1/orders", an_order("SKU-0001")), 400)


async def test_nobody_sees_anothers_order(caller: Caller) -> None:
    alice, bob = caller(), caller()
    order_id = await placed(alice, an_order(await alice.product(stock=1)))
    is_problem(await bob.get(f"/v1/orders/{order_id}"), 404)
    assert (await bob.get("/v1/orders")).json == {"orders": [], "next": None}


async def test_orders_are_listed_newest_first_in_pages_by_status(caller: Caller) -> None:
    door = caller()
    sku = await door.product(stock=4)
    ids = [await placed(door, an_order(sku)) for _ in range(5)]
    ends = [await door.finished(each) for each in ids]
    found, path = [], "/v1/orders?limit=2&status=&cursor="
    while path:
        page = (await door.get(path)).json
        assert len(page["orders"]) <= 2
        found += [order["order_id"] for order in page["orders"]]
        path = page["next"] and f"/v1/orders?limit=2&cursor={page['next']}"
    assert found == ids[::-1]
    for status in ("pending", "confirmed", "rejected"):
        listed = (await door.get(f"/v1/orders?status={status}")).json["orders"]
        wanted = [end["order_id"] for end in reversed(ends) if end["status"] == status]
        assert [order["order_id"] for order in listed] == wanted


async def test_a_list_of_large_orders_is_shown_whole(caller: Caller) -> None:
    door = caller()
    sku = await door.product(stock=0)
    name = {"name": "😀" * 200, "price": {"amount": "1.00", "currency": "EUR"}, "stock": 0}
    assert (await door.ask("PUT", f"/v1/products/{sku}", name)).status == 200
    large = {"items": [{"sku": sku, "quantity": 1}] * 100, "payment": {"token": "tok_ok"}}
    wanted = [await placed(door, large) for _ in range(14)]
    page = await door.get("/v1/orders?limit=200")
    assert page.status == 200
    assert [order["order_id"] for order in page.json["orders"]] == wanted[::-1]


@pytest.mark.parametrize(
    "order_id",
    [
        "x",
        "00000000-0000-0000-0000-000000000000",
        "%20",
        "%F0%9F%98%80",
        "a" * 7000,
        "..%2Fproducts",
    ],
)
async def test_an_unknown_order_is_not_found(caller: Caller, order_id: str) -> None:
    is_problem(await caller().get(f"/v1/orders/{order_id}"), 404)
