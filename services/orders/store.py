"""The SQL of orders: read models, the catalogue, and payment tokens on their way."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from asyncpg import Record

from services.orders.domain import Item, Order, OrderPlaced, Product, Reason, Status
from weft.postgres import Executor, Transaction


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """An order as lists show it."""

    order_id: str
    status: Status
    reason: Reason | None
    items: tuple[Item, ...]
    total_minor: int
    currency: str
    trace_id: str
    placed_at: datetime
    finished_at: datetime | None


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a confirmed order, as the reports' read model has it. Price in minor units."""

    order_id: str
    line: int
    sold_at: datetime
    sku: str
    name: str
    quantity: int
    price_minor: int
    currency: str


async def insert(tx: Transaction, order_id: str, placed: OrderPlaced, token: str) -> None:
    """Show a new order in lists, and keep its payment token until it is sent."""
    await tx.execute(
        """
        WITH token AS (INSERT INTO payment_tokens (order_id, token) VALUES ($1, $8))
        INSERT INTO orders (order_id, subject, status, items, total_minor, currency, trace_id,
                            placed_at, synthetic)
        VALUES ($1, $2, $3, $4, $5, $6, $7, now(), $9)
        """,
        order_id,
        placed.subject,
        "pending",
        msgspec.json.encode(placed.items).decode(),
        placed.total_minor,
        placed.currency,
        placed.trace_id,
        token,
        placed.synthetic,
    )


async def finish(tx: Transaction, order_id: str, order: Order) -> None:
    """Show an order's end in lists, and forget a token that was never sent."""
    await tx.execute(
        """
        WITH token AS (DELETE FROM payment_tokens WHERE order_id = $1)
        UPDATE orders SET status = $2, reason = $3, finished_at = now() WHERE order_id = $1
        """,
        order_id,
        order.status,
        order.failure,
    )


async def take_token(tx: Transaction, order_id: str) -> str:
    """Return the order's payment token and delete it. Raises LookupError when it was taken."""
    token = await tx.fetchval(
        "DELETE FROM payment_tokens WHERE order_id = $1 RETURNING token", order_id
    )
    if token is None:
        raise LookupError(f"the payment token of order {order_id} was sent before")
    return str(token)


async def page(
    where: Executor, subject: str, *, status: Status | None, before: str | None, limit: int
) -> list[Summary]:
    """Return up to `limit` orders of `subject`, newest first, older than the order `before`."""
    rows = await where.fetch(
        """
        SELECT order_id, status, reason, items, total_minor, currency, trace_id,
               placed_at, finished_at
        FROM orders
        WHERE subject = $1 AND ($2::text IS NULL OR status = $2)
              AND ($3::uuid IS NULL OR order_id < $3)
        ORDER BY order_id DESC LIMIT $4
        """,
        subject,
        status,
        before,
        limit,
    )
    return [_summary(row) for row in rows]


async def newest(where: Executor, *, limit: int) -> list[tuple[str, Summary]]:
    """Return the newest orders of all customers, each after its subject.

    One in five may be synthetic: more would soon leave no room for any other.
    """
    rows = await where.fetch(
        """
        WITH shown AS (
            (SELECT * FROM orders WHERE NOT synthetic ORDER BY order_id DESC LIMIT $1)
            UNION ALL
            (SELECT * FROM orders WHERE synthetic ORDER BY order_id DESC LIMIT $1 / 5)
        )
        SELECT subject, order_id, status, reason, items, total_minor, currency, trace_id,
               placed_at, finished_at
        FROM shown ORDER BY order_id DESC LIMIT $1
        """,
        limit,
    )
    return [(row["subject"], _summary(row)) for row in rows]


async def active(where: Executor) -> int:
    """Return how many orders of customers are not finished."""
    query = "SELECT count(*) FROM orders WHERE status = 'pending' AND NOT synthetic"
    return int(await where.fetchval(query))


async def insert_sales(tx: Transaction, generation: int, sales: Sequence[Sale]) -> None:
    """Write sales facts of one generation of the read model."""
    await tx.execute(
        """
        INSERT INTO sales (generation, order_id, line, sold_at, sku, name, quantity,
                           price_minor, currency)
        SELECT $1, * FROM unnest($2::uuid[], $3::smallint[], $4::timestamptz[], $5::text[],
                                 $6::text[], $7::integer[], $8::bigint[], $9::text[])
        """,
        generation,
        *zip(*(msgspec.structs.astuple(sale) for sale in sales), strict=True),
    )


async def products(where: Executor, skus: Iterable[str]) -> dict[str, Product]:
    """Return what the catalogue knows of `skus`."""
    rows = await where.fetch(
        "SELECT sku, name, price_minor, currency FROM catalogue WHERE sku = ANY($1)", list(skus)
    )
    return {row["sku"]: Product(**dict(row)) for row in rows}


async def set_product(where: Executor, product: Product, *, revision: int) -> None:
    """Keep `product`, unless the catalogue has a revision that is as new."""
    await where.execute(
        """
        INSERT INTO catalogue (sku, name, price_minor, currency, revision)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (sku) DO UPDATE
        SET name = excluded.name, price_minor = excluded.price_minor,
            currency = excluded.currency, revision = excluded.revision
        WHERE catalogue.revision < excluded.revision
        """,
        product.sku,
        product.name,
        product.price_minor,
        product.currency,
        revision,
    )


_ITEMS = msgspec.json.Decoder(tuple[Item, ...])


def _summary(row: Record) -> Summary:
    return Summary(
        order_id=str(row["order_id"]),
        status=row["status"],
        reason=row["reason"],
        items=_ITEMS.decode(row["items"]),
        total_minor=row["total_minor"],
        currency=row["currency"],
        trace_id=row["trace_id"],
        placed_at=row["placed_at"],
        finished_at=row["finished_at"],
    )
