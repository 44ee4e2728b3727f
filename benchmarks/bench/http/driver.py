"""Customers of the server: as many as there are connections, each waits for its answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

from benchmarks.bench.subject import Meter, Place

CONNECTIONS: Final = 64
_REQUEST: Final = (
    b"GET /orders/17 HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\r\n"
)
_END: Final = b"}"


class _Customer(asyncio.Protocol):
    def __init__(self, meter: Meter, lost: asyncio.Future[None]) -> None:
        self._meter = meter
        self._lost = lost
        self._asked = 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        if not data.endswith(_END):  # the answer comes in two pieces
            return
        self._meter.took(time.perf_counter() - self._asked)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._lost.done():
            self._lost.set_exception(exc or ConnectionError("the server closed a connection"))

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(_REQUEST)

    def close(self) -> None:
        """Ask no more."""
        self._transport.abort()


@asynccontextmanager
async def drive(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Ask on all connections, again and again; units are answers."""
    host, _, port = place.address.rpartition(":")
    loop = asyncio.get_running_loop()
    lost: asyncio.Future[None] = loop.create_future()
    customers = [
        (await loop.create_connection(lambda: _Customer(meter, lost), host, int(port)))[1]
        for _ in range(CONNECTIONS)
    ]
    yield
    if lost.done():
        lost.result()
    lost.cancel()
    for customer in customers:
        customer.close()
