"""aiohttp's client in the chassis' seam, and the chassis' own client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.bench import chassis
from benchmarks.bench.client.clients import CUSTOMERS, PARAMETERS, PATH, TEMPLATE, asking, session
from benchmarks.bench.subject import Meter, Place
from weft.http.client import HttpClient
from weft.telemetry import record


@asynccontextmanager
async def seam(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Ask by aiohttp's client, with span and point, by the engine of WEFT_TELEMETRY."""
    host, _, port = place.address.rpartition(":")
    url = f"http://{place.address}{PATH}"
    async with chassis.telemetry(), session() as client:

        async def ask() -> None:
            with record.http_client("GET", TEMPLATE, host=host, port=int(port), url=url) as call:
                async with client.get(url, headers=call.carrier) as response:
                    await response.read()
                    call.status = response.status

        async with asking(meter, ask):
            yield


@asynccontextmanager
async def client(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Ask as a service asks another."""
    async with chassis.telemetry():
        service = HttpClient(f"http://{place.address}", name="far", connections=CUSTOMERS)
        await service.start()
        try:
            async with asking(meter, lambda: service.request("GET", TEMPLATE, path=PARAMETERS)):
                yield
        finally:
            await service.stop()
