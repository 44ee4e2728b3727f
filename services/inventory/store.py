"""The SQL of products, stock and reservations.

Locks are taken in one order by all: the reservation's row, then products by SKU. One statement
locks, checks and moves, so that a sought-after product is held only from there to the commit.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from asyncpg import Record

from services.inventory.domain import CURRENCY, Line, ProductSet, State
from weft.postgres import Database, Transaction


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A product's row. `number` is its place in the order of creation."""

    sku: str
    number: int
    name: str
    price_minor: int
    revision: int
    stock: int
    reserved: int


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """Where an order's reservation stands; `changed` when this call brought it there.

    `skus` are those whose stock this call moved.
    """

    state: State
    changed: bool
    skus: tuple[str, ...] = ()
    short_sku: str | None = None


_COLUMNS: Final = "p.sku, p.number, p.name, p.price_minor, p.revision, p.stock, p.reserved"

# What is written comes from the locked rows: PostgreSQL checks constraints on values computed from
# the snapshot before it notices that a row has changed since, and would refuse them wrongly.
_RESERVE: Final = """
WITH fresh AS (
    INSERT INTO reservations (order_id, state, skus, quantities)
    VALUES ($1, 'reserved', $2, $3)
    ON CONFLICT (order_id) DO NOTHING
    RETURNING order_id
), wanted AS MATERIALIZED (
    SELECT w.sku, w.quantity FROM fresh, unnest($2::text[], $3::bigint[]) AS w (sku, quantity)
), locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, wanted.quantity FROM products p JOIN wanted USING (sku)
    ORDER BY p.sku FOR NO KEY UPDATE OF p
), short AS MATERIALIZED (
    SELECT w.sku FROM wanted w LEFT JOIN locked l USING (sku)
    WHERE l.stock IS NULL OR l.stock < w.quantity
    ORDER BY w.sku LIMIT 1
), moved AS (
    UPDATE products p SET stock = l.stock - l.quantity, reserved = l.reserved + l.quantity
    FROM locked l WHERE p.sku = l.sku AND NOT EXISTS (SELECT FROM short)
)
SELECT EXISTS (SELECT FROM fresh) AS fresh, (SELECT sku FROM short) AS short
"""

_SETTLE: Final = """
WITH settled AS (
    UPDATE reservations SET state = $2, changed_at = now()
    WHERE order_id = $1 AND state = 'reserved'
    RETURNING skus, quantities
), held AS MATERIALIZED (
    SELECT h.sku, h.quantity FROM settled, unnest(skus, quantities) AS h (sku, quantity)
), locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.sold, held.quantity FROM products p JOIN held USING (sku)
    ORDER BY p.sku FOR NO KEY UPDATE OF p
), moved AS (
    UPDATE products p SET
        reserved = l.reserved - l.quantity,
        stock = l.stock + CASE $2 WHEN 'released' THEN l.quantity ELSE 0 END,
        sold = l.sold + CASE $2 WHEN 'committed' THEN l.quantity ELSE 0 END
    FROM locked l WHERE p.sku = l.sku
)
SELECT skus FROM settled
"""


async def reserve(tx: Transaction, order_id: str, wanted: Sequence[Line]) -> Reservation:
    """Reserve every line or, when one is short, none. A known order stays as it is."""
    row = await tx.fetchrow(
        _RESERVE, order_id, [line.sku for line in wanted], [line.quantity for line in wanted]
    )
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    if not row["fresh"]:
        return await _standing(tx, order_id)
    if row["short"] is None:
        skus = tuple(line.sku for line in wanted)
        return Reservation(state=State.RESERVED, changed=True, skus=skus)
    await tx.execute(
        "UPDATE reservations SET state = 'rejected', short_sku = $2 WHERE order_id = $1",
        order_id,
        row["short"],
    )
    return Reservation(state=State.REJECTED, changed=True, short_sku=row["short"])


async def release(tx: Transaction, order_id: str) -> Reservation:
    """Give back what is reserved. An unknown order is remembered as released."""
    skus = await _settle(tx, order_id, "released")
    if skus is not None:
        return Reservation(state=State.RELEASED, changed=True, skus=skus)
    unknown = await tx.fetchval(
        """INSERT INTO reservations (order_id, state, skus, quantities)
        VALUES ($1, 'released', '{}', '{}') ON CONFLICT (order_id) DO NOTHING RETURNING true""",
        order_id,
    )
    # The reservation may have been made between the two statements: the insertion waited for it.
    skus = () if unknown else await _settle(tx, order_id, "released")
    if skus is not None:
        return Reservation(state=State.RELEASED, changed=True, skus=skus)
    return await _standing(tx, order_id)


async def commit(tx: Transaction, order_id: str) -> Reservation | None:
    """Sell what is reserved. None for an unknown order."""
    skus = await _settle(tx, order_id, "committed")
    if skus is not None:
        return Reservation(state=State.COMMITTED, changed=True, skus=skus)
    return await _find(tx, order_id)


async def _settle(
    tx: Transaction, order_id: str, state: Literal["released", "committed"]
) -> tuple[str, ...] | None:
    """Return the SKUs that were held, None when nothing was reserved."""
    skus: list[str] | None = await tx.fetchval(_SETTLE, order_id, state)
    return None if skus is None else tuple(skus)


async def _find(tx: Transaction, order_id: str) -> Reservation | None:
    row = await tx.fetchrow(
        "SELECT state, short_sku FROM reservations WHERE order_id = $1 FOR UPDATE", order_id
    )
    if row is None:
        return None
    return Reservation(state=State(row["state"]), changed=False, short_sku=row["short_sku"])


async def _standing(tx: Transaction, order_id: str) -> Reservation:
    reservation = await _find(tx, order_id)
    assert reservation is not None  # noqa: S101 - reservations are never deleted
    return reservation


async def put(tx: Transaction, product: ProductSet, subject: str) -> tuple[Product, bool]:
    """Set a product, log the difference in stock as `subject`'s; true with it when it is new."""
    made = await _insert(tx, [product], subject)
    if made:
        return made[0], True
    row = await tx.fetchrow(
        f"""
        WITH before AS (
            SELECT sku, stock FROM products WHERE sku = $1 FOR NO KEY UPDATE
        ), logged AS (
            INSERT INTO stock_movements (sku, difference, subject)
            SELECT sku, $4 - stock, $5 FROM before
        )
        UPDATE products p SET name = $2, price_minor = $3, stock = $4, revision = revision + 1
        FROM before WHERE p.sku = before.sku
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - the column list is a constant
        product.sku,
        product.name,
        product.price_minor,
        product.stock,
        subject,
    )
    assert row is not None  # noqa: S101 - products are never deleted
    return _product(row), False


async def seed(tx: Transaction, products: Sequence[ProductSet]) -> list[Product]:
    """Insert those that are not there yet and return them."""
    return await _insert(tx, products, "seed")


async def _insert(tx: Transaction, products: Sequence[ProductSet], subject: str) -> list[Product]:
    rows = await tx.fetch(
        f"""
        WITH made AS (
            INSERT INTO products AS p (sku, name, price_minor, stock, currency)
            SELECT *, $5 FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
            ON CONFLICT (sku) DO NOTHING
            RETURNING {_COLUMNS}
        ), logged AS (
            INSERT INTO stock_movements (sku, difference, subject) SELECT sku, stock, $6 FROM made
        )
        SELECT {_COLUMNS} FROM made p ORDER BY number
        """,  # noqa: S608 - the column list is a constant
        [product.sku for product in products],
        [product.name for product in products],
        [product.price_minor for product in products],
        [product.stock for product in products],
        CURRENCY,
        subject,
    )
    return [_product(row) for row in rows]


async def find(db: Database, sku: str) -> Product | None:
    """Return the product, None if there is none."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM products p WHERE sku = $1", sku)  # noqa: S608 - constant
    return None if row is None else _product(row)


async def page(db: Database, *, before: int | None, limit: int) -> list[Product]:
    """Return up to `limit` products, newest first, older than number `before`."""
    rows = await db.fetch(
        f"""SELECT {_COLUMNS} FROM products p WHERE $1::bigint IS NULL OR number < $1
        ORDER BY number DESC LIMIT $2""",  # noqa: S608 - the column list is a constant
        before,
        limit,
    )
    return [_product(row) for row in rows]


def _product(row: Record) -> Product:
    return Product(**row)
