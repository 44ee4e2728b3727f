"""At a million rows the statements that run all the time use an index, and touch few pages."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import asyncpg
import msgspec
import pytest

import services.inventory.store as inventory
import services.orders.store as orders
import services.payments.store as payments
from services.inventory.domain import Line
from services.orders.domain import Item, Order, OrderPlaced, Product
from weft.ids import uuid7
from weft.messaging import Event, outgoing
from weft.postgres import (
    Database,
    Deadlines,
    EventLog,
    IdempotencyKeys,
    KeyedRequest,
    Transaction,
    deadline_scanner,
    idempotency,
    inbox,
    maintenance,
    outbox_rows,
    projections,
)

ROWS = 1_000_000
FEWER = 100_000
"""Of what is work in progress, or only ever looked up by its key."""
PAGES, PER_ROW = 1_000, 3
"""What a statement may touch, and more for each row that it returns. A table of a million rows has
from 6,000 on."""
GROWING = {
    "weft.events",
    "weft.inbox",
    "weft.idempotency_keys",
    "orders",
    "sales",
}
KEYS = (
    "SELECT conname AS name, pg_get_constraintdef(oid) AS made FROM pg_constraint"
    " WHERE conrelid = $1::text::regclass AND contype IN ('p', 'u')"
)
INDEXES = (
    "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS made"
    " FROM pg_index WHERE indrelid = $1::text::regclass AND NOT indisunique"
)
ROOT = Path(__file__).resolve().parents[2]
NOW = int(time.time() * 1000)


def identity(number: str) -> str:
    """SQL of a UUIDv7 of this moment."""
    return f"('{NOW:012x}7000a' || lpad(to_hex({number}), 15, '0'))::uuid"


FILL: dict[str, str] = {
    "weft.outbox": (
        "(message_id, ordering_key, exchange, routing_key, type, version, body, headers,"
        " correlation_id, mandatory, at, next_attempt_at)"
        " SELECT gen_random_uuid(), 'k' || i % 5000, 'e', 'k', 't', 1, '', '{}', 'c', false,"
        " now(), CASE WHEN i <= 2000 THEN now() + interval '1 hour'"
        " WHEN i % 5000 < 2000 THEN 'infinity'::timestamptz END"
    ),
    "weft.streams": "SELECT 's' || i, 'k', 10, '1'",
    "weft.events": (
        "(stream, version, type, schema_version, data, meta)"
        " SELECT 's' || i / 10, i % 10 + 1, 't', 1, '{}', '{}'"
    ),
    "weft.inbox": f"SELECT {identity('i')}, 'orders.events'",
    "weft.deadlines": (
        "(kind, key, due_at, carrier) SELECT 'o', 'k' || i, now() + interval '30 s', '{}'"
    ),
    "weft.idempotency_keys": "SELECT 'u' || i, 'POST', '/v1/orders', 'k', '', 202, ''",
    "orders": (
        f"SELECT {identity('i')}, 'u' || i % 5000, CASE WHEN i % 5000 = 0 THEN 'pending'"
        " ELSE 'confirmed' END, NULL, '[]', 5, 'EUR', 't', now()"
    ),
    "payment_tokens": f"SELECT {identity('i')}, 'tok'",
    "sales": (
        f"SELECT 1, {identity('i')}, 1, now() - i * interval '30 s', 'S' || i % 1000, 'n', 1, 5,"
        " 'EUR'"
    ),
    "products": (
        "(sku, name, price_minor, currency, stock, reserved)"
        " SELECT 'S' || i, 'n', 5, 'EUR', 100, 100"
    ),
    "stock_movements": "(sku, difference, subject) SELECT 'S' || i, 100, 'u'",
    "reservations": f"SELECT {identity('i')}, 'reserved', ARRAY['S1'], ARRAY[1]",
    "provider_calls": (
        f"SELECT {identity('i')}, 'capture', {identity('i')}, 5, 'EUR', NULL, '{{}}', 1, now(),"
        " now() + interval '1 hour'"
    ),
}
COLUMNS = {
    "sales": ("(generation, order_id, line, sold_at, sku, name, quantity, price_minor, currency)"),
    "reservations": "(order_id, state, skus, quantities)",
}


class Moved(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "piece.moved"


class Explained:
    """An Executor that explains each statement, with what it really touches, before it runs it."""

    cause = None

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self.plans: list[tuple[str, dict[str, Any]]] = []

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Nothing is committed."""

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def run(sql: str, *args: Any) -> Any:
            await self._tx.execute("SAVEPOINT before")
            explain = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)"
            plan = json.loads(await self._tx.fetchval(f"{explain} {sql}", *args))[0]
            await self._tx.execute("ROLLBACK TO before")
            self.plans.append((sql, plan["Plan"]))
            return await getattr(self._tx, method)(sql, *args)

        return run


@pytest.fixture(scope="module")
def schema() -> list[str]:
    """The tables of three services in one database: no two have the same name."""
    files = [
        file
        for service in ("orders", "inventory", "payments")
        for file in sorted((ROOT / "services" / service / "schema").glob("*.sql"))
    ]
    return [file.read_text() for file in files]


@pytest.fixture
async def db(database_url: str, schema: list[str]) -> AsyncIterator[Database]:
    database = Database(database_url, schema=schema)
    await database.start()
    await database.execute("ALTER TABLE stock_movements DROP CONSTRAINT stock_movements_sku_fkey")
    waiting = list(FILL)

    async def fill() -> None:
        connection = await asyncpg.connect(
            database_url, server_settings={"maintenance_work_mem": "256MB", "work_mem": "64MB"}
        )
        while waiting:
            await _fill(connection, waiting.pop(0))
        await connection.close()

    await asyncio.gather(fill(), fill())
    await database.execute(
        "INSERT INTO weft.projections (name, generation, live, tx, position)"
        " SELECT name, 1, true, (SELECT tx FROM weft.events ORDER BY tx DESC LIMIT 1), $1"
        " FROM unnest(ARRAY['p', 'sales']) AS name",
        ROWS - 100,
    )
    yield database
    await database.stop()


async def _fill(db: Any, table: str) -> None:
    """Rows without a write-ahead log, and indexes after them: seconds instead of minutes."""
    plain = table != "weft.inbox"  # the others have no partitions
    keys = await db.fetch(KEYS, table) if plain else []
    indexes = await db.fetch(INDEXES, table) if plain else []
    for key in keys:
        await db.execute(f"ALTER TABLE {table} DROP CONSTRAINT {key['name']}")
    for index in indexes:
        await db.execute(f"DROP INDEX {index['name']}")
    if plain:
        await db.execute(f"ALTER TABLE {table} SET UNLOGGED")
    rows = ROWS if table in GROWING else FEWER
    columns = COLUMNS.get(table, "")
    await db.execute(
        f"INSERT INTO {table} {columns} {FILL[table]} FROM generate_series(1, {rows}) AS i"
    )
    for key in keys:
        await db.execute(f"ALTER TABLE {table} ADD CONSTRAINT {key['name']} {key['made']}")
    for index in indexes:
        await db.execute(index["made"])
    await db.execute(f"ANALYZE {table}")


def order_at(number: int) -> str:
    return str(uuid.UUID(f"{NOW:012x}7000a{number:015x}"))


async def chassis(x: Any, db: Database) -> None:
    log, deadlines = EventLog(db), Deadlines(db)
    message = outgoing(Moved(), correlation_id="c", carrier={})
    await log.append(x, "new", kind="k", expected=0, events=[Moved()], messages=[message])
    await log.append(x, "s77777", kind="k", expected=10, events=[Moved()], messages=[message])
    await log.append(x, "s77778", kind="k", expected=None, events=[Moved()])
    await log.read(x, "s7")
    await log.first(x, [f"s{n}" for n in range(1, 100_000, 1000)])
    await x.fetch(outbox_rows._FETCH, 500)
    await x.fetch(inbox._RECORD, [order_at(7), uuid7()], "orders.events")
    await x.fetch(projections._PEEK, "p")
    await x.fetch(projections._READ, "3", 0, 500)
    await deadlines.set(x, "o", "k5", due_in=3)
    await deadlines.cancel(x, "o", "k6")
    await x.fetch(deadline_scanner._PEEK, ["o"])
    await x.fetch(deadline_scanner._CLAIM, ["o"])
    request = KeyedRequest("u5", "POST", "/v1/orders", "k", b"")
    await x.fetch(idempotency._FIND, "u5", "POST", "/v1/orders", "k")
    await IdempotencyKeys(db).store(x, request, status=202, body=b"")
    await maintenance.Maintenance(x)._delete("idempotency_keys", "created_at", 24)


async def of_orders(x: Any, _: Database) -> None:
    item = Item(sku="S5", name="n", quantity=1, price_minor=5)
    placed = OrderPlaced(
        subject="u1",
        items=(item,),
        total_minor=5,
        currency="EUR",
        payment_id=uuid7(),
        trace_id="t",
    )
    new = uuid7()
    await orders.insert(x, new, placed, "tok_ok")
    await orders.take_token(x, new)
    await orders.finish(x, new, Order(placed=placed, outcome="confirmed"))
    for status in (None, "confirmed", "pending"):
        for before in (None, order_at(900_000)):
            await orders.page(x, "u1", status=status, before=before, limit=50)
    await orders.newest(x, limit=50)
    await orders.active(x)
    await orders.products(x, ["S1", "S2"])
    product = Product(sku="S1", name="n", price_minor=5, currency="EUR")
    await orders.set_product(x, product, revision=2)
    sale = orders.Sale(
        order_id=new,
        line=1,
        sold_at=datetime.now(UTC),
        **msgspec.structs.asdict(item),
        currency="EUR",
    )
    await orders.insert_sales(x, 1, [sale])
    yesterday = "(now() AT TIME ZONE 'UTC')::date - 1"
    for view in ("sales", "sales_by_day"):
        await x.fetch(f"SELECT * FROM read_v1.{view} WHERE day = {yesterday}")
    day = datetime.now(UTC).date()
    query = "SELECT * FROM read_v1.sales WHERE day >= $1 AND day < $2 AND sku = 'S7'"
    await x.fetch(query, day.replace(day=1), day)


async def of_inventory(x: Any, _: Database) -> None:
    await inventory.reserve(x, uuid7(), [Line(sku="S1", quantity=1), Line(sku="S9", quantity=1)])
    await inventory.commit(x, order_at(5))
    await inventory.release(x, order_at(6))
    await inventory.find(x, "S5")
    await inventory.page(x, before=None, limit=50)
    await inventory.page(x, before=50_000, limit=50)


async def of_payments(x: Any, _: Database) -> None:
    await x.execute(
        "UPDATE provider_calls SET due_at = now() WHERE payment_id = ANY($1::uuid[])",
        [order_at(number) for number in range(1, 21)],
    )
    calls = await payments.claim(x, instance="payments-0", limit=16, lease=30.0)
    assert len(calls) == 16
    await payments.postpone(x, calls[0], due_in=1.0)
    await payments.close_call(x, order_at(3))


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for inner in plan.get("Plans", ()) for node in _nodes(inner))]


async def test_no_statement_of_the_hot_path_reads_a_whole_table(db: Database) -> None:
    big = tuple(name.rpartition(".")[2] for name in FILL)  # the inbox has partitions
    for work in (chassis, of_orders, of_inventory, of_payments):
        async with db.transaction() as tx:
            explained = Explained(tx)
            await work(explained, db)
        assert len(explained.plans) >= 3
        for sql, plan in explained.plans:
            whole = [
                node["Relation Name"]
                for node in _nodes(plan)
                if node["Node Type"] == "Seq Scan" and node["Relation Name"].startswith(big)
            ]
            pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            assert not whole, f"{whole} is read as a whole:\n{sql}\n{json.dumps(plan, indent=1)}"
            allowed = PAGES + PER_ROW * plan["Actual Rows"]
            assert pages <= allowed, f"{pages} pages:\n{sql}\n{json.dumps(plan, indent=1)}"
