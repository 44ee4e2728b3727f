"""The SQL of inventory under concurrency: what was put in = stock + reserved + sold, always."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from services.inventory import store
from services.inventory.domain import Line, ProductSet, State, lines
from weft.postgres import Database

SCHEMA = Path(store.__file__).with_name("schema")


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, schema=SCHEMA, pool_size=16)
    await database.start()
    yield database
    await database.stop()


async def put(db: Database, sku: str, stock: int) -> tuple[store.Product, bool]:
    product = ProductSet(sku=sku, name=sku, price_minor=100, stock=stock)
    async with db.transaction() as tx:
        return await store.put(tx, product, "alice")


async def reserve(db: Database, order_id: str, *wanted: Line) -> store.Reservation:
    async with db.transaction() as tx:
        return await store.reserve(tx, order_id, wanted)


async def release(db: Database, order_id: str) -> store.Reservation:
    async with db.transaction() as tx:
        return await store.release(tx, order_id)


async def commit(db: Database, order_id: str) -> store.Reservation | None:
    async with db.transaction() as tx:
        return await store.commit(tx, order_id)


async def counts(db: Database, sku: str) -> tuple[int, int, int]:
    row = await db.fetchrow("SELECT stock, reserved, sold FROM products WHERE sku = $1", sku)
    assert row is not None
    return row["stock"], row["reserved"], row["sold"]


async def test_all_is_reserved_or_nothing(db: Database) -> None:
    await put(db, "A", 10)
    await put(db, "B", 1)
    order = str(uuid4())
    rejected = await reserve(db, order, Line("A", 2), Line("B", 2))
    assert rejected == store.Reservation(state=State.REJECTED, changed=True, short_sku="B")
    assert await counts(db, "A") == (10, 0, 0)
    again = await reserve(db, order, Line("A", 1))
    assert again == store.Reservation(state=State.REJECTED, changed=False, short_sku="B")


async def test_an_unknown_product_is_short(db: Database) -> None:
    await put(db, "A", 10)
    rejected = await reserve(db, str(uuid4()), Line("A", 2), Line("NONE", 1))
    assert rejected.short_sku == "NONE"


async def test_a_reservation_is_released_once(db: Database) -> None:
    await put(db, "A", 10)
    order = str(uuid4())
    await reserve(db, order, Line("A", 3))
    released = store.Reservation(state=State.RELEASED, changed=True, skus=("A",))
    assert await release(db, order) == released
    assert await release(db, order) == store.Reservation(state=State.RELEASED, changed=False)
    assert await counts(db, "A") == (10, 0, 0)


async def test_what_is_sold_cannot_be_released(db: Database) -> None:
    await put(db, "A", 10)
    order = str(uuid4())
    await reserve(db, order, Line("A", 3))
    await commit(db, order)
    assert await release(db, order) == store.Reservation(state=State.COMMITTED, changed=False)
    assert await counts(db, "A") == (7, 0, 3)


async def test_an_unknown_order_cannot_be_sold(db: Database) -> None:
    assert await commit(db, str(uuid4())) is None


async def test_a_put_sets_what_can_be_sold_and_logs_the_difference(db: Database) -> None:
    made, new = await put(db, "A", 10)
    assert (new, made.revision) == (True, 1)
    await reserve(db, str(uuid4()), Line("A", 4))
    made, new = await put(db, "A", 3)
    assert (new, made.revision, made.stock, made.reserved) == (False, 2, 3, 4)
    movements = await db.fetch("SELECT difference, subject FROM stock_movements ORDER BY id")
    assert [tuple(row) for row in movements] == [(10, "alice"), (-3, "alice")]


async def test_one_of_many_who_create_a_product_at_once_creates_it(db: Database) -> None:
    results = await asyncio.gather(*(put(db, "A", n) for n in range(1, 9)))
    assert sum(new for _, new in results) == 1
    assert sorted(made.revision for made, _ in results) == list(range(1, 9))
    await _adds_up(db)


async def test_the_database_itself_refuses_negative_stock(db: Database) -> None:
    await put(db, "A", 1)
    with pytest.raises(asyncpg.CheckViolationError):
        await db.execute("UPDATE products SET stock = stock - 2")


async def test_stock_adds_up_and_nothing_deadlocks_whatever_happens_at_once(db: Database) -> None:
    chance = random.Random(3)
    skus = ["A", "B", "C", "D"]
    for sku in skus:
        await put(db, sku, 40)
    orders = [str(uuid4()) for _ in range(60)]
    baskets = {
        order: [(chance.choice(skus), chance.randint(1, 4)) for _ in range(chance.randint(1, 5))]
        for order in orders
    }

    async def act(order: str) -> None:
        match chance.choice(["reserve", "reserve", "release", "commit", "put"]):
            case "reserve":
                await reserve(db, order, *lines(baskets[order]))
            case "release":
                await release(db, order)
            case "commit":
                await commit(db, order)
            case "put":
                await put(db, chance.choice(skus), chance.randint(0, 60))

    async def worker() -> None:
        for _ in range(40):
            await act(chance.choice(orders))

    await asyncio.gather(*(worker() for _ in range(16)))
    await _adds_up(db)
    assert await _deadlocks(db) == 0


async def test_an_order_that_is_reserved_and_released_at_once_holds_nothing(db: Database) -> None:
    await put(db, "A", 1000)
    orders = [str(uuid4()) for _ in range(60)]
    pairs = (
        action
        for order in orders
        for action in (reserve(db, order, Line("A", 1)), release(db, order), release(db, order))
    )
    await asyncio.gather(*pairs)
    assert await counts(db, "A") == (1000, 0, 0)


async def _deadlocks(db: Database) -> int:
    # Sessions report when they are idle for a moment, and at their end.
    await db.execute("SELECT pg_stat_force_next_flush()")
    return int(
        await db.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
    )


async def _adds_up(db: Database) -> None:
    """The three records of what happened agree: products, reservations, movements."""
    wrong = await db.fetch(
        """
        SELECT p.sku, p.stock, p.reserved, p.sold, m.put_in, r.reserved AS held, r.sold AS gone
        FROM products p
        JOIN (SELECT sku, sum(difference) AS put_in FROM stock_movements GROUP BY sku) m USING (sku)
        LEFT JOIN (
            SELECT sku, coalesce(sum(quantity) FILTER (WHERE state = 'reserved'), 0) AS reserved,
                coalesce(sum(quantity) FILTER (WHERE state = 'committed'), 0) AS sold
            FROM reservations, unnest(skus, quantities) AS l (sku, quantity) GROUP BY sku
        ) r USING (sku)
        WHERE p.stock + p.reserved + p.sold <> m.put_in
            OR p.reserved <> coalesce(r.reserved, 0) OR p.sold <> coalesce(r.sold, 0)
        """
    )
    assert wrong == []
