"""The orders process on real parts; inventory and payments are played by the test."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import msgspec

from services.orders import messages
from tests.ports import free_port, free_url
from weft.http import HttpServer, Problem, Request, Routes, TokenSigner, new_private_key
from weft.messaging import (
    Broker,
    Command,
    Consumer,
    Event,
    Incoming,
    Publisher,
    ServiceTopology,
    outgoing,
)

COMMANDS: dict[str, list[type[Command]]] = {
    "inventory": [messages.ReserveStock, messages.ReleaseStock, messages.CommitStock],
    "payments": [
        messages.AuthorizePayment,
        messages.CapturePayment,
        messages.VoidPayment,
    ],
}
ANSWERS: dict[str, type[Event]] = {
    "ReserveStock": messages.StockReserved,
    "ReleaseStock": messages.StockReleased,
    "CommitStock": messages.StockCommitted,
    "AuthorizePayment": messages.PaymentAuthorized,
    "CapturePayment": messages.PaymentCaptured,
    "VoidPayment": messages.PaymentVoided,
}
ALL = ("orders:read", "orders:write")
START_SECONDS = 120.0
"""A process may start on a machine that has much else to do."""


async def until(condition: Callable[[], Awaitable[Any]], *, seconds: float = 60.0) -> Any:
    """What `condition` returns once that is true."""
    deadline = time.monotonic() + seconds
    while True:
        value = await condition()
        if value:
            return value
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.05)


class Peers:
    """Inventory and payments: they answer as ANSWERS says, unless told otherwise."""

    def __init__(self) -> None:
        self.heard: dict[str, list[tuple[str, dict[str, Any], Incoming]]] = defaultdict(list)
        self._publisher: Publisher | None = None
        self.begin()

    def begin(self) -> None:
        """Begin a test: answer as ANSWERS says, once."""
        self.answers: dict[str, type[Event] | None] = dict(ANSWERS)
        self.times = 1

    @asynccontextmanager
    async def running(self, broker_url: str) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for service, commands in COMMANDS.items():
                broker = Broker(broker_url, ServiceTopology(service=service, commands=commands))
                await broker.start()
                stack.push_async_callback(broker.stop)
                self._publisher = Publisher(broker)
                consumer = Consumer(broker, f"{service}.commands", self._handler())
                await consumer.start()
                stack.push_async_callback(consumer.stop)
            yield

    async def say(self, event: Event, *, times: int = 1) -> None:
        order_id = getattr(event, "order_id", "none")
        message = outgoing(event, correlation_id=order_id, carrier={})
        assert self._publisher is not None
        for _ in range(times):
            await self._publisher.publish(message)

    def commands(self, order_id: str) -> list[str]:
        return [kind for kind, _, _ in self.heard[order_id]]

    def _handler(self) -> Callable[[Incoming], Awaitable[Any]]:
        async def handle(incoming: Incoming) -> str:
            body = json.loads(incoming.body)
            self.heard[body["order_id"]].append((incoming.type, body, incoming))
            answer = self.answers[incoming.type]
            if answer is not None:
                event = msgspec.convert(body, answer, strict=False)
                await self.say(event, times=self.times)
            return "processed"

        return handle


def shop(products: dict[str, str]) -> Routes:
    """Inventory's HTTP side: SKU and price."""
    routes = Routes()

    @routes.get("/v1/products/{sku}", public=True)
    async def product(request: Request) -> dict[str, Any]:
        sku = request.path["sku"]
        if sku not in products:
            raise Problem(404)
        price = {"amount": products[sku], "currency": "EUR"}
        return {"sku": sku, "name": f"Name of {sku}", "price": price, "stock": 9, "reserved": 0}

    return routes


class Orders:
    """The process under test, and a caller of it."""

    @classmethod
    @asynccontextmanager
    async def prepared(
        cls, folder: Path, database_url: str, broker_url: str, collector: str, peers: Peers
    ) -> AsyncIterator[Self]:
        """Settings and keys in `folder`; not started. What runs at the end has to drain well."""
        signer = TokenSigner(new_private_key())
        jwks = folder / "jwks.json"
        jwks.write_text(json.dumps(signer.jwks()))
        environment = {
            "WEFT_PORT": str(free_port()),
            "WEFT_DATABASE_URL": database_url,
            "WEFT_BROKER_URL": broker_url,
            "WEFT_JWKS": str(jwks),
            "WEFT_INVENTORY_URL": free_url(),
            "WEFT_ORDER_DEADLINE": "10m",  # no order ends because the machine is slow
            "WEFT_CONSOLE": "json",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        }
        orders = cls(environment, signer, folder / "orders.log", peers)
        try:
            yield orders
            if orders.process is not None and orders.process.poll() is None:
                assert await orders.stop() == 0, orders.log.read_text()
        finally:
            await orders.stop(signal.SIGKILL)
            await orders.session.close()

    @asynccontextmanager
    async def inventory(self, products: dict[str, str]) -> AsyncIterator[None]:
        """Inventory's HTTP side at the address that orders knows."""
        port = int(self.environment["WEFT_INVENTORY_URL"].rpartition(":")[2])
        server = HttpServer("inventory", shop(products), port=port)
        await server.start()
        server.open()
        try:
            yield
        finally:
            await server.stop()

    def __init__(
        self, environment: dict[str, str], signer: TokenSigner, log: Path, peers: Peers
    ) -> None:
        self.environment = environment
        self.log = log
        self.peers = peers
        self.customer = "alice"
        self._signer = signer
        self.process: subprocess.Popen[bytes] | None = None
        self.session = aiohttp.ClientSession(
            f"http://127.0.0.1:{environment['WEFT_PORT']}",
            timeout=aiohttp.ClientTimeout(total=60),
        )

    def begin(self) -> None:
        """Begin a test: nobody has ordered yet, and the peers do what they usually do."""
        self.customer = f"alice-{uuid.uuid4().hex}"
        self.peers.begin()

    async def start(self, **settings: str) -> None:
        """Start the process and wait until it is ready; `settings` are for this start alone."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
                [sys.executable, "-m", "services.orders"],
                env={**os.environ, **self.environment, **settings},
                stdout=log,
                stderr=log,
            )
        await until(self._ready, seconds=START_SECONDS)

    async def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            async with self.session.get("/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process and return its exit code. Meanwhile the telemetry sink goes on."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 60)

    def headers(self, subject: str, scopes: tuple[str, ...] = ALL) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._signer.mint(subject, scopes, 300).token}"}

    async def post(
        self, body: Any, *, subject: str | None = None, key: str | None = None, **headers: str
    ) -> tuple[int, dict[str, Any], Any]:
        sent = (
            self.headers(subject or self.customer)
            | {"Idempotency-Key": key or uuid.uuid4().hex}
            | headers
        )
        async with self.session.post("/v1/orders", json=body, headers=sent) as response:
            return response.status, await response.json(content_type=None), response.headers

    async def get(self, path: str, *, subject: str | None = None) -> tuple[int, Any]:
        headers = self.headers(subject or self.customer)
        async with self.session.get(path, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def place(self, body: Any = None) -> str:
        status, answer, _ = await self.post(body or order())
        assert status == 202, answer
        return str(answer["order_id"])

    async def ended(self, order_id: str) -> dict[str, Any]:
        async def end() -> dict[str, Any] | None:
            _, seen = await self.get(f"/v1/orders/{order_id}")
            return seen if seen["status"] != "pending" else None

        found: dict[str, Any] = await until(end)
        return found


OK_TOKEN = "tok_ok"


def order(*items: tuple[str, int], token: str = OK_TOKEN) -> dict[str, Any]:
    lines = items or (("SKU-0001", 2),)
    return {
        "items": [{"sku": sku, "quantity": quantity} for sku, quantity in lines],
        "payment": {"token": token},
    }
