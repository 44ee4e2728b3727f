"""The simulated card provider over HTTP, and payments' webhook."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.integration.shop.conftest import Databases, Start
from tests.integration.shop.kit import CARD_KEY, WEBHOOK_SECRET, Running
from weft.settings import Secret
from weft.webhooks import sign


@pytest.fixture(scope="module")
async def running(start: Start, agreed: dict[str, str], new_database: Databases) -> Running:
    return await start("card_provider", WEFT_DATABASE_URL=await new_database(), **agreed)


class Provider:
    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        sent = {"Authorization": f"Bearer {CARD_KEY}", **headers}
        url = f"{self._url}/v1{path}"
        async with self._http.request(method, url, json=body, headers=sent) as response:
            return response.status, await response.json(content_type=None)

    async def authorize(
        self, payment_id: str, token: str, *, key: str | None = None, amount: int = 250
    ) -> tuple[int, dict[str, Any]]:
        body = {
            "payment_id": payment_id,
            "amount_minor": amount,
            "currency": "EUR",
            "token": token,
        }
        headers = {"Idempotency-Key": key or payment_id}
        return await self.call("POST", "/authorizations", body, **headers)

    async def settle(self, payment_id: str, action: str) -> tuple[int, str | None]:
        path = f"/authorizations/{payment_id}/{action}"
        status, found = await self.call("POST", path, **{"Idempotency-Key": payment_id})
        return status, found["status"] if status == 200 else None

    async def entry(self, payment_id: str) -> dict[str, Any]:
        _, ledger = await self.call("GET", "/ledger?limit=200")
        return next(entry for entry in ledger["entries"] if entry["payment_id"] == payment_id)


@pytest.fixture(scope="module")
def provider(http: aiohttp.ClientSession, running: Running) -> Provider:
    return Provider(http, running.url)


async def test_an_authorisation_is_captured_once(provider: Provider) -> None:
    payment = str(uuid4())
    status, made = await provider.authorize(payment, "tok_ok")
    assert (status, made) == (200, {"payment_id": payment, "status": "authorized", "reason": None})
    assert await provider.settle(payment, "capture") == (200, "captured")
    first = await provider.entry(payment)
    assert await provider.settle(payment, "capture") == (200, "captured")
    assert await provider.entry(payment) == first
    assert first["captured_at"] is not None
    assert (await provider.settle(payment, "void"))[0] == 409


async def test_calls_at_once_with_one_key_make_one_authorisation(provider: Provider) -> None:
    payment = str(uuid4())
    answers = await asyncio.gather(*(provider.authorize(payment, "tok_ok") for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    _, ledger = await provider.call("GET", "/ledger?limit=200")
    assert [e["payment_id"] for e in ledger["entries"]].count(payment) == 1


async def test_a_flaky_card_fails_twice_for_each_payment(provider: Provider) -> None:
    for _ in range(2):
        payment = str(uuid4())
        statuses = [(await provider.authorize(payment, "tok_flaky"))[0] for _ in range(4)]
        assert statuses == [500, 503, 200, 200]


async def test_a_caller_who_gave_up_on_a_silent_card_does_not_hold_up_the_end(
    start: Start, agreed: dict[str, str], new_database: Databases, http: aiohttp.ClientSession
) -> None:
    service = await start(
        "card_provider",
        WEFT_DATABASE_URL=await new_database(),
        WEFT_DRAIN_TIMEOUT="1h",
        **agreed,
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await Provider(http, service.url).authorize(str(uuid4()), "tok_down")
    assert await service.end() == 0


async def test_a_void_before_the_authorisation_holds(provider: Provider) -> None:
    payment = str(uuid4())
    assert await provider.settle(payment, "void") == (200, "voided")
    status, answer = await provider.authorize(payment, "tok_ok")
    assert (status, answer["status"]) == (200, "voided")
    assert (await provider.settle(payment, "capture"))[0] == 409


async def test_a_void_beats_a_slow_authorisation_under_way(provider: Provider) -> None:
    payment = str(uuid4())
    slow = asyncio.create_task(provider.authorize(payment, "tok_slow"))
    assert await provider.settle(payment, "void") == (200, "voided")
    _, answer = await slow
    assert answer["status"] == "voided"


async def test_a_key_given_again_for_another_request_is_refused(provider: Provider) -> None:
    payment = str(uuid4())
    assert (await provider.authorize(payment, "tok_ok"))[0] == 200
    assert (await provider.authorize(payment, "tok_ok", amount=251))[0] == 422
    assert (await provider.authorize(str(uuid4()), "tok_ok", key=payment))[0] == 422
    assert (await provider.authorize(payment, "tok_ok", key="another", amount=251))[0] == 422


async def test_a_call_without_a_good_key_is_refused(provider: Provider) -> None:
    payment = str(uuid4())
    for key in ("é", "k" * 256):
        assert (await provider.authorize(payment, "tok_ok", key=key))[0] == 400
    assert (await provider.call("POST", f"/authorizations/{payment}/void"))[0] == 400


async def test_a_stranger_is_refused(provider: Provider) -> None:
    assert (await provider.call("GET", "/ledger", Authorization="Bearer wrong"))[0] == 401
    assert (await provider.call("GET", "/ledger", Authorization=""))[0] == 401


@pytest.mark.parametrize("amount", [0, -1, 10**15, 10**30])
async def test_an_amount_out_of_bounds_is_refused(provider: Provider, amount: int) -> None:
    status, problem = await provider.authorize(str(uuid4()), "tok_ok", amount=amount)
    assert (status, problem["errors"][0]["path"]) == (422, "/amount_minor")


async def test_an_unknown_authorisation_is_not_found(provider: Provider) -> None:
    for payment in (str(uuid4()), "no-id", "%00"):
        assert (await provider.call("GET", f"/authorizations/{payment}"))[0] in (400, 404)


async def test_the_ledger_has_pages(provider: Provider) -> None:
    payments = [str(uuid4()) for _ in range(5)]
    for payment in payments:
        await provider.authorize(payment, "tok_ok")
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        _, page = await provider.call("GET", f"/ledger?limit=2&cursor={cursor}")
        seen += [entry["payment_id"] for entry in page["entries"]]
        cursor = page["next"]
    assert seen[:5] == payments[::-1]
    assert (await provider.call("GET", "/ledger?cursor=x"))[0] == 400


@pytest.fixture(scope="module")
async def webhook(
    start: Start,
    agreed: dict[str, str],
    new_database: Databases,
    amqp_url: str,
    running: Running,
) -> str:
    payments = await start(
        "payments",
        WEFT_DATABASE_URL=await new_database(),
        WEFT_BROKER_URL=amqp_url,
        WEFT_CARD_PROVIDER_URL=running.url,
        **agreed,
    )
    return f"{payments.url}/v1/webhooks/card-provider"


def notice(**changes: Any) -> bytes:
    data = {"payment_id": str(uuid4()), "status": "authorized"} | changes
    body = {"type": "authorization.updated", "timestamp": "2026-11-23T15:00:00Z", "data": data}
    return json.dumps(body).encode()


async def post(http: aiohttp.ClientSession, url: str, body: bytes, **headers: str) -> int:
    sent = {"Content-Type": "application/json", **headers}
    async with http.post(url, data=body, headers=sent) as response:
        return response.status


async def test_a_signed_webhook_about_an_unknown_payment_is_taken(
    http: aiohttp.ClientSession, webhook: str
) -> None:
    body = notice()
    assert await post(http, webhook, body, **sign(Secret(WEBHOOK_SECRET), id="1", body=body)) == 204


async def test_a_webhook_without_a_good_signature_is_refused(
    http: aiohttp.ClientSession, webhook: str
) -> None:
    body = notice()
    signed = sign(Secret(WEBHOOK_SECRET), id="1", body=body)
    assert await post(http, webhook, body) == 401
    assert await post(http, webhook, body + b" ", **signed) == 401
    old = sign(Secret(WEBHOOK_SECRET), id="1", body=body, at=0)
    assert await post(http, webhook, body, **old) == 401


async def test_a_signed_webhook_with_a_wrong_body_is_refused(
    http: aiohttp.ClientSession, webhook: str
) -> None:
    body = notice(payment_id="no")
    assert await post(http, webhook, body, **sign(Secret(WEBHOOK_SECRET), id="1", body=body)) == 422
