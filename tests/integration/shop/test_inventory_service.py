"""Inventory as a process: commands in, events out, products over HTTP."""

import asyncio
import signal
from collections import Counter
from uuid import uuid4

import aiohttp
import pytest

from services.inventory.messages import CommitStock, Item, ProductSet, ReleaseStock, ReserveStock
from tests.integration.shop.conftest import Databases, Start
from tests.integration.shop.kit import Keys, PostBox, Running, until
from weft.messaging import decode


@pytest.fixture(scope="module")
async def inventory(
    start: Start,
    keys: Keys,
    new_database: Databases,
    amqp_url: str,
    post: PostBox,  # noqa: ARG001 - the box hears of the first products
) -> Running:
    return await start(
        "inventory",
        WEFT_DATABASE_URL=await new_database(),
        WEFT_BROKER_URL=amqp_url,
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


@pytest.mark.usefixtures("inventory")
async def test_the_answer_continues_the_trace_of_the_command(post: PostBox) -> None:
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


async def test_commands_sent_again_are_answered_again(
    inventory: Running, post: PostBox, http: aiohttp.ClientSession, keys: Keys
) -> None:
    order_id = str(uuid4())
    for command in (reserve(order_id, SKU_0010=1), CommitStock(order_id=order_id)) * 2:
        answers = len(post.told(order_id))
        await post.send(command, order_id)
        await until(lambda known=answers: post.has_more(order_id, known))
    assert post.told(order_id) == ["stock.reserved", *["stock.committed"] * 3]
    assert await show(http, inventory, keys.header(), "SKU-0010") == (9999, 0)


async def test_a_commit_that_overtakes_its_reservation_waits_for_it(
    inventory: Running, post: PostBox, http: aiohttp.ClientSession, keys: Keys
) -> None:
    order_id = str(uuid4())
    await post.send(CommitStock(order_id=order_id), order_id)
    await post.send(reserve(order_id, SKU_0011=1), order_id)
    await post.expect(order_id, "stock.committed")
    assert await show(http, inventory, keys.header(), "SKU-0011") == (9999, 0)


async def test_instances_share_the_work_without_deadlocks(
    inventory: Running,
    post: PostBox,
    http: aiohttp.ClientSession,
    keys: Keys,
    start: Start,
) -> None:
    second = await start("inventory", **(inventory.settings | {"WEFT_INSTANCE": "1"}))
    headers = keys.header("inventory:write")
    for sku in ("TWO-1", "TWO-2"):
        assert await put(http, second, headers, sku, 90) == 201
    orders = [str(uuid4()) for _ in range(100)]
    commands = [
        reserve(order, TWO_1=1, TWO_2=1) if n % 2 else reserve(order, TWO_2=1, TWO_1=1)
        for n, order in enumerate(orders)
    ]
    await asyncio.gather(
        *(post.send(command, order) for command, order in zip(commands, orders, strict=True))
    )
    answers = [await post.expect(order, "stock.reserved", "stock.rejected") for order in orders]
    assert sum(answer.type == "stock.reserved" for answer in answers) == 90
    assert await show(http, second, headers, "TWO-1") == (0, 90)
    assert await show(http, second, headers, "TWO-2") == (0, 90)
    assert await second.end() == 0


async def test_a_hot_product_is_sold_out_exactly(
    inventory: Running, post: PostBox, http: aiohttp.ClientSession, keys: Keys
) -> None:
    headers = keys.header("inventory:write")
    assert await put(http, inventory, headers, "HOT-1", 30) == 201
    assert await put(http, inventory, headers, "HOT-2", 100) == 201
    orders = [str(uuid4()) for _ in range(50)]
    await asyncio.gather(*(post.send(reserve(order, HOT_1=1, HOT_2=1), order) for order in orders))
    answers = [await post.expect(order, "stock.reserved", "stock.rejected") for order in orders]
    assert sum(answer.type == "stock.reserved" for answer in answers) == 30
    assert await show(http, inventory, headers, "HOT-1") == (0, 30)
    assert await show(http, inventory, headers, "HOT-2") == (70, 30)


async def test_a_new_shop_tells_of_its_products_once(
    inventory: Running, post: PostBox, http: aiohttp.ClientSession, keys: Keys
) -> None:
    headers = keys.header("inventory:write")
    assert await put(http, inventory, headers, "SKU-0050", 7) == 200
    assert await inventory.end() == 0
    await inventory.start()
    await inventory.ready()
    assert await put(http, inventory, headers, "LAST", 1) == 201

    async def told() -> list[ProductSet] | None:
        events = [event for event in post.events if event.type == "product.set"]
        products = [decode(ProductSet, event.version, event.body) for event in events]
        return products if any(product.sku == "LAST" for product in products) else None

    seeded = Counter(product.sku for product in await until(told) if product.sku[:4] == "SKU-")
    assert seeded == {f"SKU-{n:04d}": 1 + (n == 50) for n in range(1, 51)}
    assert await show(http, inventory, headers, "SKU-0050") == (7, 0)


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
