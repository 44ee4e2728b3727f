"""The customers that all variants have in common, and the bare one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from benchmarks.bench.subject import Meter, Place, working

CUSTOMERS: Final = 32
PATH: Final = "/orders/17"
TEMPLATE: Final = "/orders/{order_id}"
PARAMETERS: Final = {"order_id": "17"}


async def get(session: aiohttp.ClientSession, url: str) -> int:
    """Read a document; return the status."""
    async with session.get(url) as response:
        await response.read()
        return response.status


@asynccontextmanager
async def asking(meter: Meter, ask: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Ask again and again; units are answers."""

    async def customer() -> None:
        while True:
            await ask()
            meter.units += 1

    async with working(*(customer() for _ in range(CUSTOMERS))):
        yield


def session() -> aiohttp.ClientSession:
    """Return what holds a connection for each customer."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CUSTOMERS))


@asynccontextmanager
async def bare(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Ask without any telemetry."""
    url = f"http://{place.address}{PATH}"
    async with session() as client, asking(meter, lambda: get(client, url)):
        yield
