"""asyncpg with OpenTelemetry's own instrumentation, on the packages of official.lock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor

from benchmarks.bench.official import sdk
from benchmarks.bench.sql.clients import bare
from benchmarks.bench.subject import Meter, Place


@asynccontextmanager
async def official(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Read the row, with a span for each statement."""
    with sdk():
        AsyncPGInstrumentor().instrument()
        async with bare(place, meter):
            yield
