"""Sales facts: each line of each confirmed order once, also while they are rebuilt."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from services.orders import messages
from tests.integration.orders.kit import ALL, Orders, Peers, order, until
from weft.postgres import Database, generations
from weft.telemetry import SYNTHETIC

SALES = "SELECT * FROM read_v1.sales WHERE day = ANY($1) ORDER BY order_id, line"
DAYS = "SELECT * FROM read_v1.sales_by_day ORDER BY sku"


@pytest.fixture
async def db(own_orders: Orders) -> AsyncIterator[Database]:
    """The database of the running orders service."""
    database = Database(own_orders.environment["WEFT_DATABASE_URL"])
    await database.start()
    yield database
    await database.stop()


def today() -> list[object]:
    """Around midnight the test has two."""
    day = datetime.now(UTC).date()
    return [day, day - timedelta(days=1)]


async def test_a_customers_confirmed_order_is_a_sale_for_each_line_and_nothing_else_is(
    own_orders: Orders, peers: Peers, db: Database
) -> None:
    peers.answers["ReserveStock"] = messages.StockRejected
    rejected = await own_orders.place()
    await own_orders.ended(rejected)
    peers.answers["ReserveStock"] = messages.StockReserved
    probe = own_orders.headers("alice", (*ALL, SYNTHETIC))
    status, answer, _ = await own_orders.post(order(), **probe)
    assert status == 202
    await own_orders.ended(answer["order_id"])
    placed = await own_orders.place(order(("SKU-0001", 2), ("SKU-0002", 1), ("SKU-0001", 3)))
    seen = await own_orders.ended(placed)
    rows = await until(lambda: db.fetch(SALES, today()))
    assert [
        (row["sku"], row["name"], row["quantity"], row["price_minor"], row["amount_minor"])
        for row in rows
    ] == [
        ("SKU-0001", "Name of SKU-0001", 2, 625, 1250),
        ("SKU-0002", "Name of SKU-0002", 1, 1999, 1999),
        ("SKU-0001", "Name of SKU-0001", 3, 625, 1875),
    ]
    assert {str(row["order_id"]) for row in rows} == {placed}
    assert {row["currency"] for row in rows} == {"EUR"}
    confirmed = datetime.fromisoformat(seen["events"][-1]["at"])
    assert abs(rows[0]["sold_at"] - confirmed) < timedelta(milliseconds=2)
    days = await db.fetch(DAYS)
    assert [(row["sku"], row["orders"], row["quantity"], row["amount_minor"]) for row in days] == [
        ("SKU-0001", 1, 5, 3125),
        ("SKU-0002", 1, 1, 1999),
    ]


async def test_sales_rebuilt_from_the_log_are_the_same(own_orders: Orders, db: Database) -> None:
    for _ in range(3):
        await own_orders.ended(await own_orders.place())

    async def all_sold() -> bool:
        return len(await db.fetch(SALES, today())) == 3

    await until(all_sold)
    before = await db.fetch(SALES, today())
    await db.execute("UPDATE sales SET quantity = 999")
    assert await generations.rebuild(db, "sales") == 2

    async def rebuilt() -> bool:
        return [one.generation for one in await generations.listed(db)] == [2]

    await until(rebuilt)
    assert await db.fetch(SALES, today()) == before
    assert await db.fetchval("SELECT count(*) FROM sales") == 3
