"""The same server with OpenTelemetry's own instrumentation, on the packages of official.lock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor

from benchmarks.bench.http.servers import handle, serving
from benchmarks.bench.official import log, sdk
from benchmarks.bench.subject import Meter, Place


async def told(request: web.Request) -> web.StreamResponse:
    """Handle a request and write a line of it."""
    response = await handle(request)
    log.info("request served", extra={"url.path": request.path, "status": response.status})
    return response


@asynccontextmanager
async def official(_: Place, meter: Meter) -> AsyncIterator[None]:
    """Serve with spans and metrics by the instrumentation, and one log record a request."""
    with sdk():
        AioHttpServerInstrumentor().instrument()
        # Made after the instrumentation, which puts its own class in the place of aiohttp's.
        async with serving(meter, web.Application(), told):
            yield
