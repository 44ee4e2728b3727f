"""Visitors of the shop: how often they ask is fixed, and what they were answered is remembered."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import msgspec

ANSWER_SECONDS: Final = 10.0
AT_ONCE: Final = 100
ORDERS: Final = 0.01
"""Share of visitors who order; the others look at a product."""
_DONE: Final = (200, 202)


@dataclass(frozen=True)
class Answered:
    """A request that was completed: its trace, what it was for, and when (epoch seconds)."""

    trace_id: str
    order: bool
    at: float


@dataclass
class Visitors:
    """Ask the gateway at `url` for the product `sku`, or order it."""

    http: aiohttp.ClientSession
    url: str
    sku: str
    token: str
    answered: list[Answered] = field(default_factory=list)
    failed: int = 0

    async def run(self, *, rate: float, until: asyncio.Event) -> None:
        """Send `rate` requests a second until told; return when the last is over."""
        turn = asyncio.Semaphore(AT_ONCE)
        clock = asyncio.get_running_loop().time
        due = clock()
        async with asyncio.TaskGroup() as visits:
            while not until.is_set():
                due = max(due + 1 / rate, clock() - 1)  # no burst after a standstill
                await asyncio.sleep(due - clock())
                await turn.acquire()
                visit = visits.create_task(self._visit(random.random() < ORDERS))
                visit.add_done_callback(lambda _: turn.release())

    async def _visit(self, order: bool) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        body = None
        method, path = "GET", f"/v1/products/{self.sku}"
        if order:
            method, path = "POST", "/v1/orders"
            headers["Idempotency-Key"] = random.randbytes(16).hex()
            headers["Content-Type"] = "application/json"
            items = [{"sku": self.sku, "quantity": 1}]
            body = msgspec.json.encode({"items": items, "payment": {"token": "tok_ok"}})
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        try:
            async with self.http.request(
                method, self.url + path, data=body, headers=headers, timeout=timeout
            ) as answer:
                await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            self.failed += 1
            return
        if answer.status in _DONE:
            self.answered.append(Answered(answer.headers["x-trace-id"], order, time.time()))
        else:
            self.failed += 1
