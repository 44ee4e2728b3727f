"""tok_async from the order to the provider's ledger: the webhook once, twice, late and never."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest

from services.card_provider.domain import Habits, Manner
from tests.integration.shop.conftest import Databases, Start
from tests.integration.shop.kit import CARD_KEY, WEBHOOK_SECRET, Keys, Running, environment, until
from weft.settings import Secret
from weft.webhooks import sign

HABITS = Habits((Manner.ONCE, Manner.TWICE, Manner.LATE, Manner.NEVER), late=3600.0)
"""Nothing late comes by itself: the tests say when."""


@dataclass(frozen=True)
class Placed:
    order_id: str
    payment_id: str

    @property
    def webhook_id(self) -> str:
        return f"{self.payment_id}.authorized"


@dataclass
class Shop:
    """Orders, inventory, payments and the card provider, all real."""

    orders: Running
    payments: Running
    provider: Running
    http: aiohttp.ClientSession
    headers: dict[str, str]
    databases: dict[str, asyncpg.Connection]

    async def place(self) -> Placed:
        body = {"items": [{"sku": "SKU-0001", "quantity": 1}], "payment": {"token": "tok_async"}}
        headers = {**self.headers, "Idempotency-Key": str(uuid4())}
        url = f"{self.orders.url}/v1/orders"
        async with self.http.post(url, json=body, headers=headers) as response:
            assert response.status == 202, await response.text()
            order_id = (await response.json())["order_id"]
        payment_id = await self.databases["orders"].fetchval(
            "SELECT data->>'payment_id' FROM weft.events WHERE stream = $1 AND version = 1",
            order_id,
        )
        return Placed(order_id, payment_id)

    async def ended(self, placed: Placed) -> dict[str, Any]:
        url = f"{self.orders.url}/v1/orders/{placed.order_id}"

        async def end() -> dict[str, Any] | None:
            async with self.http.get(url, headers=self.headers) as response:
                order: dict[str, Any] = await response.json()
            return order if order["status"] != "pending" else None

        return await until(end)

    async def entry(self, placed: Placed) -> dict[str, Any]:
        """The payment in the provider's ledger."""
        url = f"{self.provider.url}/v1/ledger?limit=200"
        headers = {"Authorization": f"Bearer {CARD_KEY}"}
        async with self.http.get(url, headers=headers) as response:
            entries = (await response.json())["entries"]
        found = [entry for entry in entries if entry["payment_id"] == placed.payment_id]
        assert len(found) <= 1
        return found[0] if found else {"status": None}

    async def comes_to(self, placed: Placed, status: str) -> dict[str, Any]:
        async def there() -> dict[str, Any] | None:
            entry = await self.entry(placed)
            return entry if entry["status"] == status else None

        return await until(there)

    async def history(self, placed: Placed) -> list[str]:
        """The types of the events that payments keeps of it."""
        rows = await self.databases["payments"].fetch(
            "SELECT type FROM weft.events WHERE stream = $1 ORDER BY version",
            f"payment-{placed.payment_id}",
        )
        return [row["type"].removeprefix("payment.") for row in rows]

    def heard(self, placed: Placed) -> int:
        """How many webhooks about it payments has answered."""
        return self.payments.output.count(placed.webhook_id)

    async def has_heard(self, placed: Placed, times: int) -> None:
        async def so_often() -> bool:
            return self.heard(placed) >= times

        await until(so_often)

    async def say_late(self, placed: Placed) -> None:
        await self.databases["card_provider"].execute(
            "UPDATE authorizations SET notice_due_at = now() WHERE payment_id = $1",
            placed.payment_id,
        )

    async def webhook(self, placed: Placed, status: str, *, webhook_id: str) -> int:
        data = {"payment_id": placed.payment_id, "status": status}
        body = {"type": "authorization.updated", "timestamp": "2026-11-23T15:00:00Z", "data": data}
        raw = json.dumps(body).encode()
        headers = sign(Secret(WEBHOOK_SECRET), id=webhook_id, body=raw)
        headers["Content-Type"] = "application/json"
        url = f"{self.payments.url}/v1/webhooks/card-provider"
        async with self.http.post(url, data=raw, headers=headers) as response:
            return response.status


@pytest.fixture(scope="module")
async def shop(
    start: Start,
    agreed: dict[str, str],
    keys: Keys,
    new_database: Databases,
    amqp_url: str,
    http: aiohttp.ClientSession,
) -> AsyncIterator[Shop]:
    services = ("card_provider", "payments", "inventory", "orders")
    urls = {name: await new_database() for name in services}
    ports = {name: environment()["WEFT_PORT"] for name in services}
    at = {f"WEFT_{name.upper()}_URL": f"http://127.0.0.1:{ports[name]}" for name in services}
    own = {
        "card_provider": {
            "WEFT_NOTICES": ",".join(HABITS.manners),
            "WEFT_LATE_NOTICE": f"{HABITS.late:.0f}s",
        },
        "payments": {"WEFT_PENDING_PAUSE": "1s"},
        "orders": {"WEFT_ORDER_DEADLINE": "600s"},
    }
    running = {
        name: await start(
            name,
            WEFT_PORT=ports[name],
            WEFT_DATABASE_URL=urls[name],
            WEFT_BROKER_URL=amqp_url,
            WEFT_JWKS=str(keys.path),
            **at,
            **agreed,
            **own.get(name, {}),
        )
        for name in services
    }
    databases = {name: await asyncpg.connect(url) for name, url in urls.items()}
    headers = keys.header("orders:read", "orders:write")
    yield Shop(
        running["orders"], running["payments"], running["card_provider"], http, headers, databases
    )
    for connection in databases.values():
        await connection.close()


@pytest.fixture(scope="module")
async def placed(shop: Shop) -> dict[Manner, list[Placed]]:
    """Orders until each manner has come, the late one twice."""
    found: dict[Manner, list[Placed]] = defaultdict(list)
    while len(found) < len(Manner) or len(found[Manner.LATE]) < 2:
        each = await shop.place()
        found[HABITS.manner(each.payment_id)].append(each)
    return found


@pytest.mark.parametrize(
    ("manner", "times"), [(Manner.ONCE, 1), (Manner.TWICE, 2), (Manner.NEVER, 0)]
)
async def test_an_order_is_paid_once_however_often_the_webhook_comes(
    shop: Shop, placed: dict[Manner, list[Placed]], manner: Manner, times: int
) -> None:
    for each in placed[manner]:
        order = await shop.ended(each)
        assert order["status"] == "confirmed"
        entry = await shop.comes_to(each, "captured")
        assert entry["amount_minor"] == round(float(order["total"]["amount"]) * 100)
        await shop.has_heard(each, times)
        expected = ["requested", "authorized", "capture_requested", "captured"]
        assert await shop.history(each) == expected
        assert shop.heard(each) == times
        assert await shop.entry(each) == entry


async def test_a_late_word_before_the_deadline_confirms_the_order(
    shop: Shop, placed: dict[Manner, list[Placed]]
) -> None:
    each = placed[Manner.LATE][0]
    await shop.comes_to(each, "pending")
    await shop.say_late(each)
    assert (await shop.ended(each))["status"] == "confirmed"
    await shop.comes_to(each, "captured")


async def test_a_word_later_than_the_deadline_takes_no_money_and_leaves_none_held(
    shop: Shop, placed: dict[Manner, list[Placed]]
) -> None:
    each = placed[Manner.LATE][1]
    await shop.comes_to(each, "pending")
    await shop.databases["orders"].execute(
        "UPDATE weft.deadlines SET due_at = now() WHERE key = $1", each.order_id
    )
    order = await shop.ended(each)
    assert (order["status"], order["reason"]) == ("rejected", "timed_out")
    entry = await shop.comes_to(each, "voided")
    await shop.say_late(each)
    await shop.has_heard(each, 1)
    expected = ["requested", "void_requested", "voided"]

    async def known() -> bool:
        return len(await shop.history(each)) >= len(expected)

    await until(known)
    assert await shop.history(each) == expected
    assert await shop.entry(each) == entry
    assert (entry["authorized_at"], entry["captured_at"]) == (None, None)
    assert (await shop.ended(each))["status"] == "rejected"


@pytest.mark.parametrize("status", ["authorized", "declined", "voided", "captured", "lost"])
async def test_a_webhook_that_is_played_again_or_contradicts_changes_nothing(
    shop: Shop, placed: dict[Manner, list[Placed]], status: str
) -> None:
    each = placed[Manner.ONCE][0]
    order = await shop.ended(each)
    before = await shop.history(each), await shop.entry(each)
    for webhook_id in (each.webhook_id, each.webhook_id, str(uuid4())):
        assert await shop.webhook(each, status, webhook_id=webhook_id) == 204
    assert (await shop.history(each), await shop.entry(each)) == before
    assert await shop.ended(each) == order
