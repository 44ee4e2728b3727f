"""The same server with the chassis' seam around its handler."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from benchmarks.bench import chassis
from benchmarks.bench.http.servers import ROUTE, handle, serving
from benchmarks.bench.subject import Meter, Place
from weft.telemetry import record


async def told(request: web.Request) -> web.StreamResponse:
    """Handle a request and tell of it."""
    with record.http_server(
        request.method, request.path, port=80, headers=request.headers, client=request.remote
    ) as call:
        call.route = ROUTE
        response = await handle(request)
        call.status = response.status
        return response


@asynccontextmanager
async def weft(_: Place, meter: Meter) -> AsyncIterator[None]:
    """Serve with all three signals, by the engine of WEFT_TELEMETRY."""
    async with chassis.telemetry(), serving(meter, handler=told):
        yield
