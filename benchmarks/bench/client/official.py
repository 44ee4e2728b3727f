"""aiohttp's client with OpenTelemetry's own instrumentation, on the packages of official.lock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor

from benchmarks.bench.client.clients import bare
from benchmarks.bench.official import sdk
from benchmarks.bench.subject import Meter, Place


@asynccontextmanager
async def official(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Ask with spans and metrics."""
    with sdk():
        AioHttpClientInstrumentor().instrument()
        async with bare(place, meter):
            yield
