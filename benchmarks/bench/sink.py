"""A collector's door that takes all telemetry at once and keeps none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from benchmarks.bench.subject import Meter, Place


@asynccontextmanager
async def sink(_: Place, meter: Meter) -> AsyncIterator[None]:
    """Serve OTLP over HTTP; units are bytes taken."""

    async def take(request: web.BaseRequest) -> web.Response:
        meter.units += len(await request.read())
        return web.Response(content_type="application/x-protobuf")

    server = web.Server(take)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    meter.address = f"http://127.0.0.1:{port}"
    try:
        yield
    finally:
        listening.close()
        await server.shutdown(1.0)
