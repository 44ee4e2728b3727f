"""Customers of a gateway, who hear by an event what became of their orders, and check all of it."""

import asyncio
import itertools
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import aio_pika
import aiohttp
import asyncpg
import psutil
from aio_pika.abc import AbstractIncomingMessage

from benchmarks.bench.orders import mesh
from benchmarks.bench.orders.job import CUSTOMERS, ONE_DECLINED_IN
from benchmarks.bench.subject import Meter, Place, working

_PRODUCTS: Final = 50
_END_SECONDS: Final = 30.0
"""An order that has not ended by then is a failure of the run."""
_ACCEPTED: Final = 202
_SERVERS: Final = {"beam.smp": "rabbitmq_cores", "postgres": "postgres_cores"}
_WINDOW: Final = 8
"""Seconds that the servers' cores are averaged over: within those that are measured."""
_TOO_MANY: Final = [{"sku": "SKU-0001", "quantity": 1000}] * 11
"""More than there is: a shop starts with 10,000 of each."""


class WrongError(Exception):
    """The orders did not end as they had to."""


class Ends:
    """What the world is told of orders: outcomes by order, for whoever waits."""

    def __init__(self) -> None:
        self._known: dict[str, asyncio.Future[tuple[str, float]]] = {}

    async def heard(self, message: AbstractIncomingMessage) -> None:
        """Take an event."""
        ended = self._of(str(message.correlation_id))
        if ended.done():
            return  # at least once: an event may come twice
        outcome = str(message.routing_key).removeprefix("order.")
        ended.set_result((outcome, time.monotonic()))

    async def of(self, order_id: str) -> tuple[str, float]:
        """Wait for the outcome and the moment of it. Raises WrongError after too long."""
        try:
            async with asyncio.timeout(_END_SECONDS):
                found = await self._of(order_id)
        except TimeoutError:
            raise WrongError(f"order {order_id} does not end") from None
        del self._known[order_id]
        return found

    def _of(self, order_id: str) -> asyncio.Future[tuple[str, float]]:
        if order_id not in self._known:
            self._known[order_id] = asyncio.get_running_loop().create_future()
        return self._known[order_id]


class _Shop:
    """Orders, one after the other; counts what became of them."""

    def __init__(self, doors: Sequence[aiohttp.ClientSession], ends: Ends) -> None:
        self._doors = itertools.cycle(doors)
        self._ends = ends
        self._random = random.Random(7)
        self._numbers = itertools.count(1)
        self.open = True
        self.outcomes: Counter[str] = Counter()

    async def order(self, items: Sequence[Mapping[str, Any]], token: str, *, outcome: str) -> float:
        """Order, and return the seconds from accepted to ended. Raises WrongError."""
        async with next(self._doors).post(
            "/v1/orders",
            json={"items": items, "payment": {"token": token}},
            headers={"Idempotency-Key": str(uuid.uuid4())},
        ) as answer:
            if answer.status != _ACCEPTED:
                raise WrongError(f"an order was answered {answer.status}: {await answer.text()}")
            order_id = (await answer.json())["order_id"]
        accepted = time.monotonic()
        ended, at = await self._ends.of(order_id)
        if ended != outcome:
            raise WrongError(f"order {order_id} is {ended}, expected {outcome}")
        self.outcomes[ended] += 1
        return max(0.0, at - accepted)

    async def customer(self, meter: Meter) -> None:
        """Order as long as the shop is open."""
        while self.open:
            declined = next(self._numbers) % ONE_DECLINED_IN == 0
            sku = f"SKU-{self._random.randint(1, _PRODUCTS):04d}"
            meter.took(
                await self.order(
                    [{"sku": sku, "quantity": 1}],
                    "tok_declined" if declined else "tok_ok",
                    outcome="rejected" if declined else "confirmed",
                )
            )


@asynccontextmanager
async def customers(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Order, until the last order is checked; units are orders that have ended."""
    urls, headers = mesh.gateways(place.address)
    ends = Ends()
    connection = await aio_pika.connect(place.broker)
    async with connection, AsyncExitStack() as stack:
        doors = [
            await stack.enter_async_context(aiohttp.ClientSession(url, headers=headers))
            for url in urls
        ]
        await _listen(connection, ends)
        shop = _Shop(doors, ends)
        await _each_outcome(shop)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(shop.customer(meter)) for _ in range(CUSTOMERS)]

            async def finish() -> None:
                shop.open = False
                await asyncio.wait(tasks)
                await _check(place, shop.outcomes)

            meter.finish = finish
            async with working(_watch(meter)):
                yield
            shop.open = False


async def _listen(connection: aio_pika.abc.AbstractConnection, ends: Ends) -> None:
    channel = await connection.channel()
    queue = await channel.declare_queue(exclusive=True)
    for key in ("order.confirmed", "order.rejected"):
        await queue.bind("weft.events", key)
    await queue.consume(ends.heard, no_ack=True)


async def _each_outcome(shop: _Shop) -> None:
    """Before anything is measured: an order is confirmed, and rejected for either reason."""
    one = [{"sku": "SKU-0001", "quantity": 1}]
    await shop.order(one, "tok_ok", outcome="confirmed")
    await shop.order(one, "tok_declined", outcome="rejected")
    await shop.order(_TOO_MANY, "tok_ok", outcome="rejected")


async def _check(place: Place, outcomes: Mapping[str, int]) -> None:
    """Compare with what the services have stored: each confirmed order has sold one thing."""
    counted = "SELECT status, count(*) FROM orders GROUP BY status"
    orders = {row["status"]: row["count"] for row in await _fetch(place, "orders", counted)}
    if orders != dict(outcomes):
        raise WrongError(f"orders has {orders}, its customers have {dict(outcomes)}")
    moved = "SELECT sum(sold)::bigint, sum(reserved)::bigint FROM products"
    ((sold, reserved),) = await _fetch(place, "inventory", moved)
    wanted = outcomes["confirmed"]
    if (sold, reserved) != (wanted, 0):
        raise WrongError(f"{sold} sold, {reserved} reserved, after {wanted} confirmed orders")


async def _fetch(place: Place, service: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(mesh.database(place, service))
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def _watch(meter: Meter) -> None:
    """Note how many cores were busy: those of the servers, and all of the machine."""
    servers = {metric: _first(name) for name, metric in _SERVERS.items()}
    readings: list[tuple[float, dict[str, float]]] = []
    while True:
        readings = [*readings[-_WINDOW:], (time.monotonic(), dict(_seconds(servers)))]
        (began, before), (now, after) = readings[0], readings[-1]
        if now > began:
            for metric, seconds in after.items():
                meter.figures[metric] = (seconds - before[metric]) / (now - began)
        await asyncio.sleep(1.0)


def _first(name: str) -> list[psutil.Process]:
    """Return the processes of a server that are no children of another of its name."""
    found = {one.pid: one for one in psutil.process_iter(["name", "ppid"]) if _name(one) == name}
    return [one for one in found.values() if one.info["ppid"] not in found]


def _name(process: psutil.Process) -> str:
    return str(process.info["name"])


def _seconds(servers: Mapping[str, Sequence[psutil.Process]]) -> Iterator[tuple[str, float]]:
    whole = psutil.cpu_times()
    yield "machine_cores", sum(whole) - whole.idle - whole.iowait - whole.guest - whole.guest_nice
    for metric, processes in servers.items():
        yield metric, sum(map(_spent, processes))


def _spent(process: psutil.Process) -> float:
    """CPU seconds of a process and its children, which come and go."""
    total = 0.0
    with suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                times = one.cpu_times()
                total += times.user + times.system
    return total
