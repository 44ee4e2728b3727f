"""A database that has many orders behind it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from services.orders.domain import (
    Item,
    OrderConfirmed,
    OrderPlaced,
    PaymentAuthorized,
    PaymentCaptured,
    StockCommitted,
    StockReserved,
)
from weft.messaging import Event

ORDERS_OF_A_SUBJECT: Final = 60
_AT_ONCE: Final = 50_000
"""Orders in one transaction: a log of one transaction would be no log of its readers' kind."""
_PLACED: Final = OrderPlaced(
    subject="user-0",
    items=(Item(sku="SKU-0001", name="Espresso cup", quantity=2, price_minor=625),),
    total_minor=1250,
    currency="EUR",
    payment_id="01900000-0000-7000-8000-000000000000",
    trace_id="0af7651916cd43dd8448eb211c80319c",
)
EVENTS: Final[tuple[Event, ...]] = (
    _PLACED,
    StockReserved(),
    PaymentAuthorized(),
    PaymentCaptured(),
    StockCommitted(),
    OrderConfirmed(),
)
"""Of each order."""
_META: Final = '{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}'

# Ids grow as those of version 7 do.
_ID: Final = "('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))"
_STREAMS: Final = (
    "INSERT INTO weft.streams (id, kind, version, tx)"  # noqa: S608 - constants of this file
    f" SELECT {_ID}, 'order', $3, pg_current_xact_id() FROM generate_series($1::int, $2) AS n"
)
_EVENTS: Final = (
    "INSERT INTO weft.events (stream, version, type, schema_version, data, meta)"  # noqa: S608
    f" SELECT {_ID}, e.version, e.type, 1, e.data, $5::jsonb"
    " FROM generate_series($1::int, $2) AS n, unnest($3::text[], $4::jsonb[])"
    " WITH ORDINALITY AS e(type, data, version)"
)
_ORDERS: Final = (
    "INSERT INTO orders (order_id, subject, status, items, total_minor, currency, trace_id,"  # noqa: S608
    f" placed_at, finished_at) SELECT {_ID}::uuid, 'user-' || n % $3::int, 'confirmed', $4::jsonb,"
    " 1250, 'EUR', '0af7651916cd43dd8448eb211c80319c', now(), now()"
    " FROM generate_series($1::int, $2) AS n"
)

# Indexes are made when the rows are there: that is several times as fast.
_TABLES: Final = ("weft.streams", "weft.events", "public.orders")
_KEYS: Final = (
    "SELECT conname AS name, pg_get_constraintdef(oid) AS made FROM pg_constraint"
    " WHERE conrelid = $1::text::regclass AND contype IN ('p', 'u')"
)
_INDEXES: Final = (
    "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS made FROM pg_index"
    " WHERE indrelid = $1::text::regclass"
)
if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


def order_id(number: int) -> str:
    """Return the id of the order with this number, from 1."""
    return f"01900000-0000-7000-8000-{number:012x}"


def subjects(orders: int) -> int:
    """Return how many customers made so many orders."""
    return max(1, orders // ORDERS_OF_A_SUBJECT)


async def fill(url: str, orders: int) -> None:
    """Store so many confirmed orders: streams, events and what lists show."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        await connection.execute("SET maintenance_work_mem = '256MB'")
        made = [await _without_indexes(connection, table) for table in _TABLES]
        for first in range(1, orders + 1, _AT_ONCE):
            last = min(orders, first + _AT_ONCE - 1)
            async with connection.transaction():
                await _some(connection, first, last, subjects(orders))
        for statement in itertools.chain.from_iterable(made):
            await connection.execute(statement)
        # As after months: no reader is the first that meets a row.
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


async def _without_indexes(connection: Connection, table: str) -> list[str]:
    """Drop the indexes of `table`; return the statements that make them again."""
    keys = await connection.fetch(_KEYS, table)
    for key in keys:
        await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {key['name']}")
    indexes = await connection.fetch(_INDEXES, table)
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    again = [f"ALTER TABLE {table} ADD CONSTRAINT {key['name']} {key['made']}" for key in keys]
    return [*again, *(index["made"] for index in indexes)]


async def _some(connection: Connection, first: int, last: int, customers: int) -> None:
    types = [event.message_type for event in EVENTS]
    data = [msgspec.json.encode(event).decode() for event in EVENTS]
    items = msgspec.json.encode(_PLACED.items).decode()
    await connection.execute(_STREAMS, first, last, len(EVENTS))
    await connection.execute(_EVENTS, first, last, types, data, _META)
    await connection.execute(_ORDERS, first, last, customers, items)
