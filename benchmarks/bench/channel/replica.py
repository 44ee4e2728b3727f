"""One replica of reports, as far as channels go."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import psutil

import services.reports
from benchmarks.bench import chassis
from benchmarks.bench.subject import Meter, Place, working
from services.reports import channel_api
from services.reports.channel import UPDATES
from services.reports.channel_hub import Hub
from weft.http import HttpServer, Identity
from weft.messaging import Fanout, ServiceTopology
from weft.postgres import Database

SOCKETS: Final = 5_000
USER: Final = "x-user"
_SCHEMA: Final = Path(services.reports.__file__).with_name("schema")
_MIB: Final = 1024 * 1024


class AnyUser:
    """Believes the caller: what a token costs is another bench's."""

    async def identify(self, headers: Mapping[str, str]) -> Identity | None:
        """Return who the header says."""
        return Identity(headers[USER], frozenset(), float("inf"))


@asynccontextmanager
async def replica(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Serve channels; the driver publishes to the broker that the address names, too."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(chassis.telemetry())
        topology = ServiceTopology(service="reports", fanouts=[UPDATES])
        broker = await enter(chassis.broker(place, topology))
        db = Database(place.database, schema=_SCHEMA)
        await db.start()
        stack.push_async_callback(db.stop)
        hub = Hub(db, per_user=1, most=2 * SOCKETS)
        fanout = Fanout(broker, UPDATES, hub.heard, connected=hub.catch_up)
        await fanout.start()
        stack.push_async_callback(fanout.stop)
        server = HttpServer("reports", channel_api.routes(db, hub), port=0, auth=AnyUser())
        await server.start()
        server.open()
        stack.push_async_callback(server.stop)
        meter.address = f"{server.port} {place.broker}"
        await enter(working(_watch(meter)))
        yield


async def _watch(meter: Meter) -> None:
    process = psutil.Process()
    while True:
        now = process.memory_info().rss / _MIB
        meter.figures["memory_mib"] = max(now, meter.figures.get("memory_mib", 0.0))
        await asyncio.sleep(0.1)
