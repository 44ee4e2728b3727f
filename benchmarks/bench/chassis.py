"""What subjects on Weft have in common: telemetry as in a service, a broker, a database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.bench.subject import Place
from weft.messaging import Broker, ServiceTopology
from weft.postgres import Database
from weft.postgres.migrations import Schema
from weft.settings import ServiceSettings
from weft.telemetry.console import Console
from weft.telemetry.setup import Telemetry

SERVICE: Final = "bench"
_FLUSH_SECONDS: Final = 3.0


@asynccontextmanager
async def telemetry() -> AsyncIterator[None]:
    """Set the three signals up as a service does, and end them."""
    settings = ServiceSettings.load()
    with TemporaryDirectory(prefix="weft-bench-spill-") as spill:
        started = Telemetry(
            SERVICE,
            version="0",
            instance=settings.instance,
            environment=settings.environment,
            console=Console(settings.console),
            level=settings.log_level,
            engine=settings.telemetry,
            spill=Path(spill),
        )
        try:
            yield
        finally:
            started.shutdown(_FLUSH_SECONDS)


@asynccontextmanager
async def broker(place: Place, topology: ServiceTopology) -> AsyncIterator[Broker]:
    """Connect to the broker as a service does."""
    started = Broker(place.broker, topology)
    await started.start()
    try:
        yield started
    finally:
        await started.stop()


@asynccontextmanager
async def database(place: Place, schema: Schema | None = None) -> AsyncIterator[Database]:
    """Connect to the database as a service does."""
    started = Database(place.database, schema=schema)
    await started.start()
    try:
        yield started
    finally:
        await started.stop()
