"""Reports as processes: what becomes of orders is told, also when a replica is killed."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest

from services.reports.channel_messages import OrderConfirmed, OrderPlaced, OrderRejected
from tests.integration.channel.kit import Browser, Keys, until
from tests.integration.shop.kit import WEBHOOK_SECRET, Running, environment
from weft.http import HttpServer, Reply, Request, Routes
from weft.ids import uuid7
from weft.messaging import Broker, Event, Publisher, ServiceTopology, outgoing
from weft.settings import Secret
from weft.webhooks import verify

Browsers = Callable[..., Browser]


class Shop:
    """Says of orders what the service orders says."""

    def __init__(self, broker_url: str) -> None:
        self._broker = Broker(broker_url, ServiceTopology(service="orders"))
        self._publisher = Publisher(self._broker)

    async def start(self) -> None:
        await self._broker.start()

    async def stop(self) -> None:
        await self._broker.stop()

    async def say(self, event: Event) -> None:
        await self._publisher.publish(outgoing(event, correlation_id=uuid7()))


@pytest.fixture(scope="module")
async def shop(place: tuple[str, str]) -> AsyncIterator[Shop]:
    speaking = Shop(place[1])
    await speaking.start()
    yield speaking
    await speaking.stop()


@pytest.fixture(scope="module")
async def processes(
    place: tuple[str, str], keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Running]]:
    folder: Path = tmp_path_factory.mktemp("reports")
    settings = {
        "WEFT_DATABASE_URL": place[0],
        "WEFT_BROKER_URL": place[1],
        "WEFT_JWKS": str(keys.path),
        "WEFT_REPORT_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "WEFT_WEBHOOK_KEY": "a key of these tests",
        "WEFT_WEBHOOK_PRIVATE": "true",
        "WEFT_ARTIFACTS_URL": (folder / "artifacts").as_uri(),
    }
    running = [Running("reports", environment(**settings), folder / f"{n}.log") for n in range(2)]
    await asyncio.gather(*(one.start() for one in running))
    await asyncio.gather(*(one.ready() for one in running))
    yield running
    for one in running:
        await one.end()


def confirmed(user: str, order: str) -> OrderConfirmed:
    return OrderConfirmed(order_id=order, subject=user, total_minor=1205, currency="EUR")


async def test_a_killed_replica_loses_nothing_that_the_other_does_not_tell(
    processes: list[Running], shop: Shop, browser: Browsers
) -> None:
    lost, other = processes
    ann = browser("kill")
    await ann.open(f"{lost.url}/v1/updates")
    await shop.say(OrderPlaced(order_id="o1", subject="kill", total_minor=1205, currency="EUR"))
    await until(lambda: ann.last == 1)

    async def tell() -> None:
        for n in range(2, 21):
            await shop.say(confirmed("kill", f"o{n}"))

    telling = asyncio.create_task(tell())
    await lost.end(signal.SIGKILL)
    await ann.closed()
    await telling
    await ann.open(f"{other.url}/v1/updates")
    await until(lambda: ann.last == 20)
    assert ann.seqs == list(range(1, 21))
    assert sorted(told["id"] for told in ann.heard) == sorted(f"o{n}" for n in range(1, 21))
    await lost.start()
    await lost.ready()


async def test_a_user_hears_what_becomes_of_his_orders(
    processes: list[Running], shop: Shop, browser: Browsers
) -> None:
    ann = browser("shop")
    await ann.open(f"{processes[1].url}/v1/updates")
    await shop.say(confirmed("shop", "o1"))
    await until(lambda: ann.last == 1)
    await shop.say(OrderRejected(order_id="o2", subject="shop", reason="out_of_stock"))
    await until(lambda: ann.last == 2)
    assert [(told["type"], told["id"], told["data"]) for told in ann.heard] == [
        (
            "order.confirmed",
            "o1",
            {"status": "confirmed", "total": {"amount": "12.05", "currency": "EUR"}},
        ),
        ("order.rejected", "o2", {"status": "rejected", "reason": "out_of_stock"}),
    ]


class Endpoint:
    """A customer's server."""

    def __init__(self) -> None:
        self.came: list[tuple[str, dict[str, object]]] = []
        self.secret = Secret("")
        routes = Routes()
        routes.raw("POST", "/hook", self._take, public=True)
        self.server = HttpServer("customer", routes, port=0)

    async def _take(self, request: Request) -> Reply[None]:
        body = await request.read()
        identity = verify([self.secret], request.headers, body)
        self.came.append((identity, msgspec.json.decode(body)))
        return Reply(None, 204)


async def test_a_customers_endpoint_is_told_signed_with_the_secret_that_was_shown_once(
    processes: list[Running], shop: Shop, keys: Keys
) -> None:
    endpoint = Endpoint()
    await endpoint.server.start()
    endpoint.server.open()
    wanted = {"url": f"http://127.0.0.1:{endpoint.server.port}/hook", "events": ["order.*"]}
    own = keys.header("hooked", "webhooks:write")
    async with aiohttp.ClientSession(headers=own) as session:
        url = f"{processes[0].url}/v1/webhooks"
        async with session.post(url, json=wanted) as response:
            assert response.status == 201
            registered = await response.json()
        endpoint.secret = Secret(registered.pop("secret"))
        async with session.get(url) as response:
            assert await response.json() == {"webhooks": [registered]}
        await shop.say(confirmed("else", "o0"))
        await shop.say(confirmed("hooked", "o1"))
        await until(lambda: endpoint.came)
        async with session.delete(f"{url}/{registered['webhook_id']}") as response:
            assert response.status == 204
        async with session.delete(f"{url}/{registered['webhook_id']}") as response:
            assert response.status == 404
    ((_, body),) = endpoint.came
    assert body["type"] == "order.confirmed"
    assert body["data"] == {
        "id": "o1",
        "data": {"status": "confirmed", "total": {"amount": "12.05", "currency": "EUR"}},
    }
    await endpoint.server.stop()


@pytest.mark.parametrize(
    ("wanted", "status", "path"),
    [
        ({"url": "ftp://example.com", "events": ["order.*"]}, 422, "/url"),
        ({"url": "https://a:b@example.com", "events": ["order.*"]}, 422, "/url"),
        ({"url": "https://example.com", "events": ["stock.*"]}, 422, "/events/0"),
        ({"url": "https://example.com", "events": []}, 422, "/events"),
        ({"url": "https://example.com"}, 422, "/events"),
    ],
)
async def test_what_cannot_be_registered_is_refused_with_where_it_is_wrong(
    processes: list[Running], keys: Keys, wanted: dict[str, object], status: int, path: str
) -> None:
    own = keys.header("wrong", "webhooks:write")
    async with (
        aiohttp.ClientSession(headers=own) as session,
        session.post(f"{processes[0].url}/v1/webhooks", json=wanted) as response,
    ):
        assert response.status == status
        assert [error["path"] for error in (await response.json())["errors"]] == [path]


async def test_webhooks_are_for_who_has_the_scope_and_are_his_own(
    processes: list[Running], keys: Keys
) -> None:
    url = f"{processes[0].url}/v1/webhooks"
    wanted = {"url": "https://example.com/hook", "events": ["report.finished"]}
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=wanted, headers=keys.header("own")) as response:
            assert response.status == 403
        own = keys.header("own", "webhooks:write")
        async with session.post(url, json=wanted, headers=own) as response:
            identity = (await response.json())["webhook_id"]
        eve = keys.header("eve", "webhooks:write")
        async with session.get(url, headers=eve) as response:
            assert await response.json() == {"webhooks": []}
        async with session.delete(f"{url}/{identity}", headers=eve) as response:
            assert response.status == 404
        statuses = [201] * 19 + [409]
        for status in statuses:
            async with session.post(url, json=wanted, headers=own) as response:
                assert response.status == status
