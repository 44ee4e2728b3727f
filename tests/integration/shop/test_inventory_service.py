"""Inventory as a process: commands in, events out, products over HTTP."""

import asyncio
import signal
from uuid import uuid4

import aiohttp
import pytest

from services.inventory.messages import CommitStock, Item, ProductSet, ReleaseStock, ReserveStock
from tests.integration.shop.conftest import Start
from tests.integration.shop.kit import Keys, PostBox, Running, until
from weft.messaging import decode


@pytest.fixture
async def inventory(
    start: Start, keys: Keys, database_url: str, broker_url: str, post: PostBox
) -> Running:
    return await start(
        "inventory",
        WEFT_DATABASE_URL=database_url,
        WEFT_BROKER_URL=broker_url,
        WEFT_JWKS=str(keys.path),
    )


def reserve(order_id: str, **quantities: int) -> ReserveStock:
    items = [Item(sku=sku.replace("_", "-"), quantity=n) for sku, n in quantities.items()]
    return ReserveStock(order_id=order_id, items=items)


async def put(
    http: aiohttp.ClientSession, service: Running, headers: dict[str, str], sku: str, stock: int
) -> int:
    body = {"name": "Reed", "price": {"amount": "2.50", "currency": "EUR"}, "stock": stock}
    url = f"{service.url}/v1/products/{sku}"
    async with http.put(url, json=body, headers=headers) as response:
        return response.status


async def show(
    http: aiohttp.ClientSession, service: Running, headers: dict[str, str], sku: str
) -> tuple[int, int]:
    async with http.get(f"{service.url}/v1/products/{sku}", headers=headers) as response:
        product = await response.json()
    return product["stock"], product["reserved"]


async def test_an_order_is_reserved_and_sold(
    inventory: Running, post: PostBox, http: aiohttp.ClientSession, keys: Keys
) -> None:
    order_id = str(uuid4())
    await post.send(reserve(order_id, SKU_0001=2, SKU_0002=3), order_id)
    await post.expect(order_id, "stock.reserved")
    assert await show(http, inventory, keys.header(), "SKU-0001") == (9998, 2)
    await post.send(CommitStock(order_id=order_id), order_id)
    await post.expect(order_id, "stock.committed")
    assert await show(http, inventory, keys.header(), "SKU-0001") == (9998, 0)
    assert post.told(order_id) == ["stock.reserved", "stock.committed"]


async def test_the_answer_continues_the_trace_of_the_command(
    inventory: Running, post: PostBox
) -> None:
    order_id, trace = str(uuid4()), uuid4().hex
    carrier = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    await post.send(reserve(order_id, SKU_0001=1), order_id, carrier)
    answer = await post.expect(order_id, "stock.reserved")
    assert answer.headers["traceparent"].split("-")[1] == trace


async def test_a_message_that_comes_twice_has_one_effect(
    inventory: Running, post: PostBox, http: aiohttp.ClientSession, keys: Keys
) -> None:
    order_id, later = str(uuid4()), str(uuid4())
    message = await post.send(reserve(order_id, SKU_0003=5), order_id)
    for _ in range(3):
        await post.send_again(message)
    await post.send(reserve(later, SKU_0004=1), later)
    await post.expect(later, "stock.reserved")
    await post.expect(order_id, "stock.reserved")
    assert await show(http, inventory, keys.header(), "SKU-0003") == (9995, 5)
    assert post.told(order_id) == ["stock.reserved"]


async def test_a_release_that_overtakes_its_reservation_holds(
    inventory: Running, post: PostBox, http: aiohttp.ClientSession, keys: Keys
) -> None:
    order_id = str(uuid4())
    await post.send(ReleaseStock(order_id=order_id), order_id)
    await post.expect(order_id, "stock.released")
    await post.send(reserve(order_id, SKU_0005=5), order_id)

    async def answered() -> bool:
        return len(post.told(order_id)) == 2

    await until(answered)
    assert post.told(order_id) == ["stock.released", "stock.released"]
    assert await show(http, inventory, keys.header(), "SKU-0005") == (10_000, 0)


async def test_a_hot_product_is_sold_out_exactly(
    inventory: Running, post: PostBox, http: aiohttp.ClientSession, keys: Keys
) -> None:
    assert await put(http, inventory, keys.header("inventory:write"), "HOT-1", 30) == 201
    orders = [str(uuid4()) for _ in range(50)]
    await asyncio.gather(
        *(post.send(reserve(order, HOT_1=1, SKU_0001=1), order) for order in orders)
    )
    answers = [await post.expect(order, "stock.reserved", "stock.rejected") for order in orders]
    assert sum(answer.type == "stock.reserved" for answer in answers) == 30
    assert await show(http, inventory, keys.header(), "HOT-1") == (0, 30)
    assert await show(http, inventory, keys.header(), "SKU-0001") == (9970, 30)


async def test_a_new_shop_tells_of_its_products(inventory: Running, post: PostBox) -> None:
    async def all_told() -> bool:
        return len(post.events) == 50

    await until(all_told)
    products = [decode(ProductSet, event.version, event.body) for event in post.events]
    assert {product.sku for product in products} == {f"SKU-{n:04d}" for n in range(1, 51)}
    assert {product.revision for product in products} == {1}


async def test_a_second_start_seeds_nothing(
    inventory: Running, post: PostBox, http: aiohttp.ClientSession, keys: Keys
) -> None:
    order_id = str(uuid4())
    assert await put(http, inventory, keys.header("inventory:write"), "SKU-0001", 7) == 200
    assert await inventory.end() == 0
    await inventory.start()
    await inventory.ready()
    await post.send(reserve(order_id, SKU_0001=1), order_id)
    await post.expect(order_id, "stock.reserved")
    assert await show(http, inventory, keys.header(), "SKU-0001") == (6, 1)
    assert sum(event.type == "product.set" for event in post.events) == 51


async def test_nothing_is_lost_when_the_process_is_killed_in_the_midst(
    inventory: Running, post: PostBox, http: aiohttp.ClientSession, keys: Keys
) -> None:
    orders = [str(uuid4()) for _ in range(200)]
    sending = asyncio.gather(
        *(post.send(reserve(order, SKU_0007=1, SKU_0006=2), order) for order in orders)
    )
    await post.expect(orders[0], "stock.reserved")
    await inventory.end(signal.SIGKILL)
    await sending
    await inventory.start()
    await inventory.ready()
    for order in orders:
        await post.expect(order, "stock.reserved")
    assert await show(http, inventory, keys.header(), "SKU-0006") == (9600, 400)
    assert await show(http, inventory, keys.header(), "SKU-0007") == (9800, 200)
