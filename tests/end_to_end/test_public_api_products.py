"""Products: setting, counting, listing; and what the gateway says of itself."""

import asyncio
import json
import re
import secrets
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from tests.end_to_end.outside import Door, Running, an_order, is_problem

Caller = Callable[..., Door]


def product(**members: Any) -> dict[str, Any]:
    price = {"amount": "2.50", "currency": "EUR"}
    return {"name": "a test's product", "price": price, "stock": 300, **members}


async def test_a_new_product_is_created_then_set(caller: Caller) -> None:
    door = caller()
    path = f"/v1/products/API-{secrets.token_hex(6)}"
    created = await door.ask("PUT", path, product())
    shown = {"sku": path.rpartition("/")[2], **product(), "reserved": 0}
    assert (created.status, created.json) == (201, shown)
    changed = product(name="Grüße 😀 \x01", price={"amount": "0.01", "currency": "EUR"}, stock=0)
    again = await door.ask("PUT", path, changed)
    assert (again.status, again.json) == (200, {**shown, **changed})
    assert (await door.get(path)).json == {**shown, **changed}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "/name"), ({}, "/price"), ({}, "/stock"), ([], ""),
        (product(name=""), "/name"),
        (product(name="a" * 201), "/name"),
        (product(name="a\0"), "/name"),
        (product(name=1), "/name"),
        (product(price={"amount": "0.00", "currency": "EUR"}), "/price/amount"),
        (product(price={"amount": "-1.00", "currency": "EUR"}), "/price/amount"),
        (product(price={"amount": "1", "currency": "EUR"}), "/price/amount"),
        (product(price={"amount": "1.005", "currency": "EUR"}), "/price/amount"),
        (product(price={"amount": "1e2", "currency": "EUR"}), "/price/amount"),
        (product(price={"amount": "NaN", "currency": "EUR"}), "/price/amount"),
        (product(price={"amount": 2.5, "currency": "EUR"}), "/price/amount"),
        (product(price={"amount": "9" * 30 + ".00", "currency": "EUR"}), "/price/amount"),
        (product(price={"amount": "2.50", "currency": "USD"}), "/price/currency"),
        (product(price={"amount": "2.50"}), "/price/currency"),
        (product(stock=-1), "/stock"),
        (product(stock=1.5), "/stock"),
        (product(stock="1"), "/stock"),
        (product(stock=10**30), "/stock"),
        (product(stock=2**63 - 1), "/stock"),
    ],
    ids=lambda part: json.dumps(part)[:70],
)  # fmt: skip
async def test_a_wrong_product_is_unprocessable_and_pointed_at(
    caller: Caller, body: Any, path: str
) -> None:
    answer = await caller().ask("PUT", "/v1/products/API-WRONG", body)
    is_problem(answer, 422)
    assert path in answer.paths


@pytest.mark.parametrize("sku", ["A" * 41, "A_B", "a%20b", "%F0%9F%98%80", "A.B", "A;B"])
async def test_a_wrong_sku_is_unprocessable(caller: Caller, sku: str) -> None:
    is_problem(await caller().ask("PUT", f"/v1/products/{sku}", product()), 422)


async def test_what_was_put_in_is_in_stock_reserved_or_sold(
    system: Running, caller: Caller
) -> None:
    door = caller()
    sku = await door.product(stock=40)

    async def order(token: str, quantity: int) -> int:
        """Return how many were sold."""
        answer = await door.place(an_order(sku, quantity, token))
        end = await door.finished(answer.json["order_id"])
        return quantity if end["status"] == "confirmed" else 0

    async def restock() -> int:
        """Set the stock while it moves; return what that put in or took out."""
        stock, _ = await door.numbers(sku)
        await door.put(sku, stock=stock + 5)
        return 0

    tokens = ["tok_ok", "tok_declined", "tok_flaky", "tok_async", "tok_nobody"] * 4
    sold = await asyncio.gather(*(order(token, 2) for token in tokens), restock())
    await settled(door, sku)
    stock, _ = await door.numbers(sku)
    inventory = await asyncpg.connect(system.variables["WEFT_INVENTORY_DATABASE_URL"])
    try:
        put_in = await inventory.fetchval(
            "SELECT sum(difference) FROM stock_movements WHERE sku = $1", sku
        )
    finally:
        await inventory.close()
    assert put_in == stock + sum(sold)


async def settled(door: Door, sku: str, seconds: float = 60) -> None:
    """Wait until nothing of a product is held any more."""
    async with asyncio.timeout(seconds):
        while True:
            if (await door.numbers(sku))[1] == 0:
                return
            await asyncio.sleep(0.1)


async def test_setting_the_stock_leaves_what_is_reserved_alone(caller: Caller) -> None:
    door = caller()
    sku = await door.product(stock=10)
    answer = await door.place(an_order(sku, 4, "tok_slow"))
    async with asyncio.timeout(60):
        while True:
            if await door.numbers(sku) == (6, 4):
                break
            await asyncio.sleep(0.05)
    assert (await door.put(sku, stock=1)).json["reserved"] == 4
    assert (await door.finished(answer.json["order_id"]))["status"] == "confirmed"
    assert await door.numbers(sku) == (1, 0)


async def test_the_seed_products_are_there(caller: Caller) -> None:
    door = caller()
    for sku in ("SKU-0001", "SKU-0050"):
        shown = (await door.get(f"/v1/products/{sku}")).json
        assert shown["sku"] == sku
        assert shown["name"]
        assert re.fullmatch(r"[0-9]+\.[0-9]{2}", shown["price"]["amount"])
        assert shown["price"]["currency"] == "EUR"
        assert shown["stock"] > 0


async def test_products_are_listed_newest_first_each_once(caller: Caller) -> None:
    door = caller()
    made = [await door.product(stock=1) for _ in range(3)]
    found: list[str] = []
    path = "/v1/products?limit=20"
    while path:
        page = (await door.get(path)).json
        assert page.keys() == {"products", "next"}
        found += [each["sku"] for each in page["products"]]
        path = page["next"] and f"/v1/products?limit=20&cursor={page['next']}"
    assert [sku for sku in found if sku in made] == made[::-1]
    assert len(found) == len(set(found))
    assert {f"SKU-{number:04d}" for number in range(1, 51)} <= set(found)


async def test_health_tells_each_dependency(stranger: Door) -> None:
    assert (await stranger.get("/healthz")).json["status"] == "ok"
    async with asyncio.timeout(60):
        while True:  # a busy one may not answer within a second
            ready = (await stranger.get("/readyz")).json
            if ready["status"] == "ok":
                break
            await asyncio.sleep(0.25)
    assert {"orders", "inventory"} <= {each["name"] for each in ready["dependencies"]}
    for each in ready["dependencies"]:
        assert each.keys() == {"name", "ok", "latency_ms", "error"}
        assert each["ok"] is True
        assert each["error"] is None
        assert each["latency_ms"] >= 0


async def test_the_specification_tells_of_every_call(stranger: Door) -> None:
    answer = await stranger.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    document = answer.json
    assert document["openapi"].startswith("3.1")
    calls = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if method in ("get", "put", "post", "delete")
    }
    assert {
        ("POST", "/v1/orders"),
        ("GET", "/v1/orders"),
        ("GET", "/v1/orders/{order_id}"),
        ("GET", "/v1/products"),
        ("GET", "/v1/products/{sku}"),
        ("PUT", "/v1/products/{sku}"),
    } <= calls
    references = set(re.findall(r'"\$ref":\s*"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references <= document["components"]["schemas"].keys()
    place = document["paths"]["/v1/orders"]["post"]
    assert {"202", "400", "401", "403", "409", "413", "415", "422", "429", "503"} <= set(
        place["responses"]
    )
    assert "Idempotency-Key" in json.dumps(place["parameters"])
