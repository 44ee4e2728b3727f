"""The same server with the chassis' seam around each request."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from benchmarks.bench import chassis
from benchmarks.bench.http.servers import ROUTE, serving
from benchmarks.bench.subject import Meter, Place
from weft.telemetry import record


@asynccontextmanager
async def weft(_: Place, meter: Meter) -> AsyncIterator[None]:
    """Serve with all three signals, by the engine of WEFT_TELEMETRY."""

    @web.middleware
    async def told(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        with record.http_server(
            request.method,
            request.path,
            port=80,
            headers=request.headers,
            client=request.remote,
        ) as call:
            call.route = ROUTE
            response = await handler(request)
            call.status = response.status
            return response

    async with chassis.telemetry(), serving(meter, [told]):
        yield
