"""Payments and the card provider as processes: every kind of card, kills, the provider away."""

import asyncio
import signal
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest

from services.payments.messages import AuthorizePayment, CapturePayment, VoidPayment
from tests.integration.shop.conftest import Databases, Start
from tests.integration.shop.kit import CARD_KEY, PostBox, Running, environment, until


@dataclass
class Bank:
    """Payments, the card provider, and the way to both."""

    payments: Running
    provider: Running
    post: PostBox
    http: aiohttp.ClientSession
    payments_database: str

    async def ledger(self) -> dict[str, dict[str, Any]]:
        """All the provider's entries by payment."""
        entries: dict[str, dict[str, Any]] = {}
        cursor: str | None = ""
        while True:
            url = f"{self.provider.url}/v1/ledger?limit=200&cursor={cursor}"
            headers = {"Authorization": f"Bearer {CARD_KEY}"}
            async with self.http.get(url, headers=headers) as response:
                page = await response.json()
            entries |= {entry["payment_id"]: entry for entry in page["entries"]}
            cursor = page["next"]
            if cursor is None:
                return entries

    async def called(self, payment_id: str) -> bool:
        """Whether payments has begun to call the provider."""
        connection = await asyncpg.connect(self.payments_database)
        try:
            return bool(
                await connection.fetchval(
                    "SELECT attempts > 0 FROM provider_calls WHERE payment_id = $1", payment_id
                )
            )
        finally:
            await connection.close()

    async def status(self, payment_id: str) -> str | None:
        entry = (await self.ledger()).get(payment_id)
        return None if entry is None else entry["status"]


@dataclass
class Order:
    bank: Bank
    token: str
    order_id: str = field(default_factory=lambda: str(uuid4()))
    payment_id: str = field(default_factory=lambda: str(uuid4()))

    async def authorize(self, carrier: dict[str, str] | None = None) -> Any:
        command = AuthorizePayment(
            order_id=self.order_id,
            payment_id=self.payment_id,
            amount_minor=250,
            currency="EUR",
            token=self.token,
        )
        return await self.bank.post.send(command, self.order_id, carrier)

    async def capture(self) -> None:
        command = CapturePayment(order_id=self.order_id, payment_id=self.payment_id)
        await self.bank.post.send(command, self.order_id)

    async def void(self) -> None:
        command = VoidPayment(order_id=self.order_id, payment_id=self.payment_id)
        await self.bank.post.send(command, self.order_id)

    async def expect(self, *types: str) -> Any:
        return await self.bank.post.expect(self.order_id, *types)


@pytest.fixture(scope="module")
async def bank(
    start: Start,
    agreed: dict[str, str],
    new_database: Databases,
    amqp_url: str,
    post: PostBox,
    http: aiohttp.ClientSession,
) -> Bank:
    port = environment()["WEFT_PORT"]
    provider = await start(
        "card_provider",
        WEFT_DATABASE_URL=await new_database(),
        WEFT_PAYMENTS_URL=f"http://127.0.0.1:{port}",
        **agreed,
    )
    database = await new_database()
    payments = await start(
        "payments",
        WEFT_PORT=port,
        WEFT_DATABASE_URL=database,
        WEFT_BROKER_URL=amqp_url,
        WEFT_CARD_PROVIDER_URL=provider.url,
        **agreed,
    )
    return Bank(payments, provider, post, http, database)


async def test_a_payment_is_authorised_and_captured(bank: Bank) -> None:
    order = Order(bank, "tok_ok")
    await order.authorize()
    await order.expect("payment.authorized")
    assert await bank.status(order.payment_id) == "authorized"
    await order.capture()
    await order.expect("payment.captured")
    assert await bank.status(order.payment_id) == "captured"
    assert bank.post.told(order.order_id) == ["payment.authorized", "payment.captured"]


@pytest.mark.parametrize("token", ["tok_flaky", "tok_slow", "tok_async"])
async def test_a_difficult_card_is_authorised_in_the_end(bank: Bank, token: str) -> None:
    order = Order(bank, token)
    await order.authorize()
    await order.expect("payment.authorized")
    await order.capture()
    await order.expect("payment.captured")
    assert bank.post.told(order.order_id) == ["payment.authorized", "payment.captured"]


async def test_a_card_is_declined(bank: Bank) -> None:
    order = Order(bank, "tok_declined")
    await order.authorize()
    answer = await order.expect("payment.declined")
    assert b'"reason":"card_declined"' in answer.body
    await order.void()
    await order.expect("payment.voided")


@pytest.mark.parametrize("token", ["tok_ok", "tok_flaky", "tok_async"])
async def test_the_answer_continues_the_trace_of_the_command(bank: Bank, token: str) -> None:
    order, trace = Order(bank, token), uuid4().hex
    await order.authorize({"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    answer = await order.expect("payment.authorized")
    assert answer.headers["traceparent"].split("-")[1] == trace


async def test_a_void_gives_up_on_a_provider_that_does_not_answer(bank: Bank) -> None:
    order = Order(bank, "tok_down")
    await order.authorize()
    await until(lambda: bank.called(order.payment_id))
    await order.void()
    await order.expect("payment.voided")
    assert bank.post.told(order.order_id) == ["payment.voided"]
    assert await bank.status(order.payment_id) == "voided"


async def test_a_void_that_overtakes_its_authorisation_holds(bank: Bank) -> None:
    order = Order(bank, "tok_ok")
    await order.void()
    await order.expect("payment.voided")
    await order.authorize()

    async def answered() -> bool:
        return len(bank.post.told(order.order_id)) == 2

    await until(answered)
    assert bank.post.told(order.order_id) == ["payment.voided", "payment.voided"]
    assert await bank.status(order.payment_id) is None


async def test_a_message_that_comes_twice_is_answered_once(bank: Bank) -> None:
    order, later = Order(bank, "tok_ok"), Order(bank, "tok_ok")
    message = await order.authorize()
    await order.expect("payment.authorized")
    await bank.post.send_again(message)
    await later.authorize()
    await later.expect("payment.authorized")
    assert bank.post.told(order.order_id) == ["payment.authorized"]


async def test_a_capture_that_overtakes_its_authorisation_waits_for_it(bank: Bank) -> None:
    order = Order(bank, "tok_slow")
    await order.authorize()
    await order.capture()
    await order.expect("payment.captured")
    assert bank.post.told(order.order_id) == ["payment.authorized", "payment.captured"]


async def test_commands_sent_again_change_nothing_and_are_answered_again(bank: Bank) -> None:
    order = Order(bank, "tok_ok")
    await order.authorize()
    await order.expect("payment.authorized")
    for _ in range(2):
        await order.capture()
        await order.expect("payment.captured")
    await order.authorize()
    await order.void()

    async def answered() -> bool:
        return len(bank.post.told(order.order_id)) >= 4

    await until(answered)
    assert set(bank.post.told(order.order_id)[1:]) == {"payment.captured"}
    assert await bank.status(order.payment_id) == "captured"


async def test_an_authorised_payment_is_voided(bank: Bank) -> None:
    order = Order(bank, "tok_ok")
    await order.authorize()
    await order.expect("payment.authorized")
    await order.void()
    await order.expect("payment.voided")
    entry = (await bank.ledger())[order.payment_id]
    assert (entry["status"], entry["captured_at"]) == ("voided", None)
    assert entry["authorized_at"] < entry["voided_at"]


async def test_the_history_of_a_payment_is_kept(bank: Bank) -> None:
    order = Order(bank, "tok_declined")
    await order.authorize()
    await order.expect("payment.declined")
    connection = await asyncpg.connect(bank.payments_database)
    try:
        rows = await connection.fetch(
            "SELECT type FROM weft.events WHERE stream = $1 ORDER BY version",
            f"payment-{order.payment_id}",
        )
    finally:
        await connection.close()
    assert [row["type"] for row in rows] == ["payment.requested", "payment.declined"]


async def test_instances_share_the_work(
    bank: Bank, start: Start, agreed: dict[str, str], amqp_url: str
) -> None:
    second = await start(
        "payments",
        WEFT_INSTANCE="1",
        WEFT_DATABASE_URL=bank.payments_database,
        WEFT_BROKER_URL=amqp_url,
        WEFT_CARD_PROVIDER_URL=bank.provider.url,
        **agreed,
    )
    orders = [Order(bank, "tok_ok") for _ in range(100)]
    await asyncio.gather(*(order.authorize() for order in orders))
    for order in orders:
        await order.expect("payment.authorized")
    assert await second.end() == 0
    assert {len(bank.post.told(order.order_id)) for order in orders} == {1}


async def test_a_pending_payment_is_asked_for_when_the_webhook_does_not_come(
    bank: Bank, start: Start, agreed: dict[str, str], amqp_url: str, new_database: Databases
) -> None:
    mute = await start(
        "card_provider",
        WEFT_DATABASE_URL=await new_database(),
        WEFT_PAYMENTS_URL="http://127.0.0.1:9",
        **agreed,
    )
    await bank.payments.end()
    payments = await start(
        "payments",
        WEFT_DATABASE_URL=bank.payments_database,
        WEFT_BROKER_URL=amqp_url,
        WEFT_CARD_PROVIDER_URL=mute.url,
        **agreed,
    )
    order = Order(bank, "tok_async")
    await order.authorize()
    await order.expect("payment.authorized")
    await payments.end()
    await bank.payments.start()
    await bank.payments.ready()


async def test_open_calls_are_made_when_the_provider_is_back(bank: Bank) -> None:
    await bank.provider.end(signal.SIGKILL)
    order = Order(bank, "tok_ok")
    await order.authorize()
    async with aiohttp.ClientSession() as session:

        async def away() -> bool:
            async with session.get(f"{bank.payments.url}/readyz") as response:
                return response.status == 503

        await until(away)
    await bank.provider.start()
    await order.expect("payment.authorized")


async def test_nothing_is_lost_or_done_twice_when_payments_is_killed(bank: Bank) -> None:
    orders = [Order(bank, "tok_ok") for _ in range(100)]
    sending = asyncio.gather(*(order.authorize() for order in orders))
    await orders[0].expect("payment.authorized")
    await bank.payments.end(signal.SIGKILL)
    await sending
    await bank.payments.start()
    for order in orders:
        await order.expect("payment.authorized")
    ledger = await bank.ledger()
    assert {ledger[order.payment_id]["status"] for order in orders} == {"authorized"}
    for order in orders:
        assert bank.post.told(order.order_id).count("payment.authorized") >= 1


async def test_no_token_is_left_anywhere(bank: Bank) -> None:
    orders = [Order(bank, token) for token in ("tok_ok", "tok_declined", "tok_async")]
    for order in orders:
        await order.authorize()
        await order.expect("payment.authorized", "payment.declined")
    connection = await asyncpg.connect(bank.payments_database)
    try:
        open_calls = await connection.fetchval("SELECT count(*) FROM provider_calls")
        kept = await connection.fetchval("SELECT string_agg(e::text, ' ') FROM weft.events e")
    finally:
        await connection.close()
    assert open_calls == 0
    assert "tok_" not in kept + bank.payments.output + bank.provider.output
