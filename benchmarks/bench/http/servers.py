"""The server that all variants have in common, and the bare one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from benchmarks.bench.subject import Meter, Place

ROUTE: Final = "/orders/{order_id}"
_BODY: Final = b'{"order_id": "17", "status": "confirmed", "total": "12.50"}'


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def handle(_: web.Request) -> web.Response:
    """Answer with a small JSON document."""
    return web.Response(body=_BODY, content_type="application/json")


@asynccontextmanager
async def serving(
    meter: Meter, application: web.Application | None = None, handler: Handler = handle
) -> AsyncIterator[None]:
    """Serve on a free port of the loopback."""
    app = application or web.Application()
    app.router.add_get(ROUTE, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        meter.address = f"{host}:{port}"
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def bare(_: Place, meter: Meter) -> AsyncIterator[None]:
    """Serve without any telemetry."""
    async with serving(meter):
        yield
