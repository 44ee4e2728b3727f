"""aio-pika with OpenTelemetry's own instrumentation, on the packages of official.lock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor

from benchmarks.bench.official import sdk
from benchmarks.bench.publish.clients import aio_pika_gather
from benchmarks.bench.subject import Meter, Place


@asynccontextmanager
async def official(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Publish with a span for each message."""
    with sdk():
        AioPikaInstrumentor().instrument()
        async with aio_pika_gather(place, meter):
            yield
