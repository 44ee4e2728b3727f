"""What is true of a system, read from its databases, its broker, its ledger and its public door."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import asyncpg

from tests.chaos.broker import Rabbit

OUTBOXES: Final = ("orders", "inventory", "payments")
NOT_CONSUMED: Final = ".dead"
UNROUTED: Final = "weft.unrouted"
STATISTICS_SECONDS: Final = 5.5
"""The broker's counters are as old at most (rabbitmq/rabbitmq.conf: each 5 s)."""
ENDS: Final = {"OrderConfirmed": "confirmed", "OrderRejected": "rejected"}

_HISTORY: Final = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.stock_history (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text NOT NULL, stock bigint NOT NULL, reserved bigint NOT NULL, sold bigint NOT NULL
);
CREATE FUNCTION chaos.remember() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO chaos.stock_history (sku, stock, reserved, sold)
    VALUES (NEW.sku, NEW.stock, NEW.reserved, NEW.sold);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_remembers AFTER INSERT OR UPDATE ON products
    FOR EACH ROW EXECUTE FUNCTION chaos.remember();
"""
"""Every version of every product's row, in the order in which its lock was held."""


@dataclass(frozen=True)
class Units:
    """Units of one SKU at one moment."""

    stock: int
    reserved: int
    sold: int

    @property
    def sum(self) -> int:
        return self.stock + self.reserved + self.sold


@dataclass(frozen=True)
class Order:
    """An order as its events tell it: `events` are types and times, oldest first."""

    order_id: str
    subject: str
    items: dict[str, int]
    total_minor: int
    payment_id: str
    trace_id: str
    events: tuple[tuple[str, str], ...]

    @property
    def ends(self) -> list[str]:
        """What it came to; one word, if all is well."""
        return [ENDS[kind] for kind, _ in self.events if kind in ENDS]

    @property
    def confirmed(self) -> bool:
        return self.ends == ["confirmed"]


@dataclass(frozen=True)
class Entry:
    """One line of the card provider's ledger."""

    payment_id: str
    amount_minor: int | None
    status: str | None


@dataclass
class Facts:
    """All that the invariants speak of."""

    orders: dict[str, Order] = field(default_factory=dict)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    units: dict[str, Units] = field(default_factory=dict)
    history: list[tuple[str, Units]] = field(default_factory=list)
    reservations: dict[str, str] = field(default_factory=dict)
    ledger: list[Entry] = field(default_factory=list)
    waiting: dict[str, int] = field(default_factory=dict)
    queues: dict[str, tuple[int, int]] = field(default_factory=dict)
    dead: dict[str, list[str]] = field(default_factory=dict)


class Auditor:
    """Reads the facts. `database` is the administrator's URL of any database of the server."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        rabbit: Rabbit,
        *,
        database: str,
        gateway: str,
        provider: str,
        provider_key: str,
        tokens: dict[str, str],
    ) -> None:
        self._http = http
        self._rabbit = rabbit
        self._database = database.rpartition("/")[0]
        self._gateway = gateway
        self._provider = provider
        self._provider_key = provider_key
        self._tokens = tokens
        self._orders: Any = None

    async def begin(self) -> None:
        """Have the database remember each version of each product from now on."""
        inventory = await self._connect("inventory")
        try:
            await inventory.execute(_HISTORY)
        finally:
            await inventory.close()

    async def unfinished(self) -> int | None:
        """Orders without an end; None while the database is away."""
        try:
            async with asyncio.timeout(5):
                if self._orders is None or self._orders.is_closed():
                    self._orders = await self._connect("orders")
                count: int = await self._orders.fetchval(
                    "SELECT count(*) FROM orders WHERE status = 'pending'"
                )
        except Exception:  # noqa: BLE001 - however a killed server shows, it cannot tell now
            self._orders = None
            return None
        return count

    async def unsettled(self) -> dict[str, int]:
        """What is still under way, by name; nothing once all has settled. Cheap."""
        waiting = await self._waiting()
        for name, (ready, unacknowledged) in (await self._queues()).items():
            waiting[f"messages in {name}"] = ready + unacknowledged
        return {name: count for name, count in waiting.items() if count}

    async def facts(self) -> Facts:
        """Everything."""
        facts = Facts(waiting=await self._waiting(), queues=await self._queues())
        await self._read_orders(facts)
        await self._read_inventory(facts)
        facts.ledger = await self._ledger()
        for subject in self._tokens:
            facts.shown |= await self._shown(subject)
        for queue in await self._rabbit.queues():
            if queue["name"].endswith(NOT_CONSUMED):
                facts.dead[queue["name"]] = await self._rabbit.dead(queue["name"])
        return facts

    async def _connect(self, database: str) -> Any:
        return await asyncpg.connect(f"{self._database}/{database}", timeout=10)

    async def _waiting(self) -> dict[str, int]:
        counts = {f"outbox rows of {name}": (name, "weft.outbox") for name in OUTBOXES}
        counts |= {
            "orders without an end": ("orders", "orders WHERE status = 'pending'"),
            "timers of orders": ("orders", "weft.deadlines"),
            "payment tokens": ("orders", "payment_tokens"),
            "open calls of the provider": ("payments", "provider_calls"),
            "products with units reserved": ("inventory", "products WHERE reserved <> 0"),
            "reservations that are open": ("inventory", "reservations WHERE state = 'reserved'"),
        }
        found: dict[str, int] = {}
        for database in OUTBOXES:
            connection = await self._connect(database)
            try:
                for name, (of, what) in counts.items():
                    if of == database:
                        found[name] = await connection.fetchval(f"SELECT count(*) FROM {what}")
            finally:
                await connection.close()
        return found

    async def _queues(self) -> dict[str, tuple[int, int]]:
        return {
            queue["name"]: (queue["messages_ready"], queue["messages_unacknowledged"])
            for queue in await self._rabbit.queues()
            if not queue["name"].endswith(NOT_CONSUMED) and queue["name"] != UNROUTED
        }

    async def _read_orders(self, facts: Facts) -> None:
        connection = await self._connect("orders")
        try:
            events = await connection.fetch(
                "SELECT e.stream, e.type, e.data, e.at FROM weft.events e"
                " JOIN weft.streams s ON s.id = e.stream WHERE s.kind = 'order'"
                " ORDER BY e.stream, e.version"
            )
            keys = await connection.fetch("SELECT subject, key, body FROM weft.idempotency_keys")
        finally:
            await connection.close()
        facts.keys = {
            (row["subject"], row["key"]): json.loads(row["body"])["order_id"] for row in keys
        }
        streams: dict[str, list[Any]] = {}
        for row in events:
            streams.setdefault(row["stream"], []).append(row)
        facts.orders = {order_id: _order(order_id, rows) for order_id, rows in streams.items()}

    async def _read_inventory(self, facts: Facts) -> None:
        connection = await self._connect("inventory")
        try:
            units = await connection.fetch("SELECT sku, stock, reserved, sold FROM products")
            history = await connection.fetch(
                "SELECT sku, stock, reserved, sold FROM chaos.stock_history ORDER BY number"
            )
            reservations = await connection.fetch("SELECT order_id, state FROM reservations")
        finally:
            await connection.close()
        facts.units = {row["sku"]: _units(row) for row in units}
        facts.history = [(row["sku"], _units(row)) for row in history]
        facts.reservations = {str(row["order_id"]): row["state"] for row in reservations}

    async def _ledger(self) -> list[Entry]:
        headers = {"Authorization": f"Bearer {self._provider_key}"}
        lines = await self._pages(f"{self._provider}/v1/ledger", "entries", "cursor", headers)
        return [Entry(one["payment_id"], one["amount_minor"], one["status"]) for one in lines]

    async def _shown(self, subject: str) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._tokens[subject]}"}
        orders = await self._pages(f"{self._gateway}/v1/orders", "orders", "cursor", headers)
        return {order["order_id"]: order["status"] for order in orders}

    async def _pages(
        self, url: str, of: str, cursor: str, headers: dict[str, str]
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query = {"limit": "200"}
        timeout = aiohttp.ClientTimeout(total=30)
        while True:
            async with self._http.get(
                url, params=query, headers=headers, timeout=timeout
            ) as answer:
                answer.raise_for_status()
                page = await answer.json()
            found += page[of]
            if not page["next"]:
                return found
            query[cursor] = page["next"]


def _units(row: Any) -> Units:
    return Units(row["stock"], row["reserved"], row["sold"])


def _order(order_id: str, rows: list[Any]) -> Order:
    placed = json.loads(rows[0]["data"])
    return Order(
        order_id=order_id,
        subject=placed["subject"],
        items={item["sku"]: item["quantity"] for item in placed["items"]},
        total_minor=placed["total_minor"],
        payment_id=placed["payment_id"],
        trace_id=placed["trace_id"],
        events=tuple((row["type"], row["at"].isoformat()) for row in rows),
    )


async def settled(auditor: Auditor, seconds: float) -> float | None:
    """Wait until nothing is under way; return the seconds that it took, None if it was too long.

    The broker tells of its queues as they were some seconds ago, so it has to say so for longer.
    """
    time = asyncio.get_running_loop().time
    start, since = time(), None
    while True:
        try:
            left = await auditor.unsettled()
        except Exception as error:  # noqa: BLE001 - what cannot be read is not settled
            left = {str(error): 1}
        now = time()
        since = None if left else since or now
        if since is not None and now - since > STATISTICS_SECONDS:
            return since - start
        if since is None and now - start > seconds:
            return None
        await asyncio.sleep(1)
