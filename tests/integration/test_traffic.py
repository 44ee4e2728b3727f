"""The shopper before a gateway that the test plays."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.traffic import domain, shopper
from services.traffic.shopper import Shopper
from weft.http import HttpClient, HttpServer, Problem, Reply, Request, Routes
from weft.settings import Secret


class Gateway:
    """Takes every order, unless it is told to refuse; each is finished at the second look."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.refuses = 0
        self.pending: dict[str, int] = {}
        self.most_pending = 0
        self._one_more = asyncio.Semaphore(0)
        self.routes = Routes()
        self.routes.raw("PUT", "/v1/products/{sku}", self._put, public=True)
        self.routes.raw("POST", "/v1/orders", self._place, public=True)
        self.routes.raw("GET", "/v1/orders/{order_id}", self._show, public=True)

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
        self.pending[order_id] = 2
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

    async def finished(self, count: int) -> None:
        """Wait until so many more orders are finished."""
        async with asyncio.timeout(20):
            for _ in range(count):
                await self._one_more.acquire()


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shopper, "FIRST_LOOK", 0.01)
    monkeypatch.setattr(domain, "FIRST_PAUSE", 0.02)


@pytest.fixture
async def shopping(gateway: Gateway) -> AsyncIterator[None]:
    server = HttpServer("gateway", gateway.routes, port=0)
    await server.start()
    server.open()
    client = HttpClient(f"http://127.0.0.1:{server.port}", name="gateway", retries=0)
    await client.start()
    work = asyncio.create_task(Shopper(client, Secret("of-traffic"), pace=0.02).run())
    yield
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await client.stop()
    await server.stop()


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
