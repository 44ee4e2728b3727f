"""The shopper and the probes before a gateway that the test plays."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from services.traffic import customer, domain, prober
from services.traffic.customer import Customer
from services.traffic.prober import Prober
from services.traffic.probes import OrderProbe, ReportProbe
from services.traffic.shopper import Shopper
from tests.integration.shop.kit import until
from weft.http import HttpClient, HttpServer, Problem, Reply, Request, Routes
from weft.settings import Secret


class Gateway:
    """Takes every order, unless it is told to refuse; each is finished at the second look."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.refuses = 0
        self.slow = 0
        self.pending: dict[str, int] = {}
        self.most_pending = 0
        self._one_more = asyncio.Semaphore(0)
        self.routes = Routes()
        self.routes.raw("PUT", "/v1/products/{sku}", self._put, public=True)
        self.routes.raw("POST", "/v1/orders", self._place, public=True)
        self.routes.raw("GET", "/v1/orders/{order_id}", self._show, public=True)
        self.report = "finished"
        self.routes.raw("POST", "/v1/reports", self._ask, public=True)
        one = "/v1/reports/{report_id}"
        self.routes.raw("GET", one, self._see, public=True)
        self.routes.raw("DELETE", one, self._cancel, public=True)
        self.routes.raw("GET", f"{one}/download", self._fetch, public=True)

    async def _put(self, request: Request) -> Reply[dict[str, Any]]:
        self.heard.append(f"PUT {request.path['sku']}")
        return Reply({})

    async def _place(self, request: Request) -> Reply[dict[str, Any]]:
        self.heard.append("POST")
        assert request.headers["Authorization"] == "Bearer of-traffic"
        assert request.headers["Idempotency-Key"]
        if self.refuses:
            self.refuses -= 1
            raise Problem(503)
        order_id = str(len(self.heard))
        self.pending[order_id] = 1000 if self.slow else 2
        self.slow = max(0, self.slow - 1)
        self.most_pending = max(self.most_pending, len(self.pending))
        return Reply({"order_id": order_id}, 202)

    async def _show(self, request: Request) -> Reply[dict[str, Any]]:
        order_id = request.path["order_id"]
        self.pending[order_id] -= 1
        if self.pending[order_id]:
            return Reply({"status": "pending"})
        del self.pending[order_id]
        self.heard.append("finished")
        self._one_more.release()
        return Reply({"status": "confirmed"})

    async def _ask(self, request: Request) -> Reply[dict[str, Any]]:
        wish = msgspec.json.decode(await request.read())
        assert (wish["from"], wish["to"], wish["priority"]) == ("2000-01-01", "2000-01-02", 9)
        self.heard.append("POST report")
        return Reply({"report_id": str(len(self.heard))}, 202)

    async def _see(self, _: Request) -> Reply[dict[str, Any]]:
        return Reply({"status": self.report})

    async def _cancel(self, request: Request) -> Reply[dict[str, Any]]:
        self.heard.append(f"DELETE {request.path['report_id']}")
        self._one_more.release()
        return Reply({})

    async def _fetch(self, request: Request) -> Reply[dict[str, Any]]:
        self.heard.append(f"GET {request.path['report_id']}")
        self._one_more.release()
        return Reply({})

    async def finished(self, count: int) -> None:
        """Wait until so many more orders are finished, or reports fetched or cancelled."""
        async with asyncio.timeout(20):
            for _ in range(count):
                await self._one_more.acquire()


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customer, "FIRST_LOOK", 0.01)
    monkeypatch.setattr(domain, "FIRST_PAUSE", 0.02)


@pytest.fixture
async def buyer(gateway: Gateway) -> AsyncIterator[Customer]:
    server = HttpServer("gateway", gateway.routes, port=0)
    await server.start()
    server.open()
    client = HttpClient(f"http://127.0.0.1:{server.port}", name="gateway", retries=0)
    await client.start()
    yield Customer(client, Secret("of-traffic"))
    await client.stop()
    await server.stop()


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def shopping(buyer: Customer) -> AsyncIterator[None]:
    async with running(Shopper(buyer, pace=0.02).run()):
        yield


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How probes ended, by what and outcome."""
    counted: Counter[str] = Counter()

    class Attempts:
        def add(self, amount: int, attributes: dict[str, str]) -> None:
            counted["{probe} {outcome}".format(**attributes)] += amount

    monkeypatch.setattr(prober, "_attempts", Attempts())
    return counted


async def count_of(probed: Counter[str], what: str, count: int) -> None:
    """Wait until so many probes have ended like that."""

    async def ended() -> bool:
        return probed[what] >= count

    await until(ended)


@pytest.mark.usefixtures("shopping")
async def test_its_product_is_there_before_the_first_order_and_one_order_is_open_at_most(
    gateway: Gateway,
) -> None:
    await gateway.finished(5)
    assert gateway.heard[:7] == ["PUT TRAFFIC-0001", *["POST", "finished"] * 3]
    assert gateway.most_pending == 1


@pytest.mark.usefixtures("shopping")
async def test_after_a_refusal_it_goes_on_and_puts_its_product_in_again(gateway: Gateway) -> None:
    await gateway.finished(1)
    before = len(gateway.heard)
    gateway.refuses = 2
    await gateway.finished(2)
    later = gateway.heard[before:]
    refused = later.index("POST")
    again = ["POST", "PUT TRAFFIC-0001", "POST", "PUT TRAFFIC-0001", "POST", "finished"]
    assert later[refused : refused + 6] == again


async def test_a_probe_orders_its_own_product_and_counts_whether_it_was_confirmed(
    gateway: Gateway, buyer: Customer, probed: Counter[str]
) -> None:
    async with running(Prober(OrderProbe(buyer), pace=0.1).run()):
        await count_of(probed, "order ok", 2)
    assert gateway.heard[0] == "PUT PROBE-0001"
    assert gateway.heard.count("POST") >= 2
    assert probed["order failed"] == 0


async def test_a_probe_that_is_refused_or_does_not_end_has_failed_and_the_next_is_made(
    gateway: Gateway, buyer: Customer, probed: Counter[str]
) -> None:
    gateway.refuses = 1
    gateway.slow = 1
    async with running(Prober(OrderProbe(buyer, within=2.0), pace=0.02).run()):
        await count_of(probed, "order failed", 2)
        await count_of(probed, "order ok", 1)
    assert probed["order failed"] == 2


async def test_a_report_is_probed_until_it_is_fetched(
    gateway: Gateway, buyer: Customer, probed: Counter[str]
) -> None:
    async with running(Prober(ReportProbe(buyer), pace=0.02).run()):
        await count_of(probed, "report ok", 2)
    assert {"POST report", "GET 1"} <= set(gateway.heard)
    assert probed["report failed"] == 0


async def test_a_report_that_fails_has_failed(
    gateway: Gateway, buyer: Customer, probed: Counter[str]
) -> None:
    gateway.report = "failed"
    async with running(Prober(ReportProbe(buyer), pace=0.02).run()):
        await count_of(probed, "report failed", 2)
    assert probed["report ok"] == 0


async def test_a_report_that_is_not_made_in_time_is_cancelled_and_no_other_waits_for_it(
    gateway: Gateway, buyer: Customer, probed: Counter[str]
) -> None:
    gateway.report = "queued"
    async with running(Prober(ReportProbe(buyer, within=1), pace=0.05).run()):
        await count_of(probed, "report failed", 1)
    assert gateway.heard[:2] == ["POST report"] * 2
    assert "DELETE 1" in gateway.heard
    assert probed["report ok"] == 0
