"""A collector's door for processes under test: it takes all telemetry and keeps none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from weft.http import HttpServer, Reply, Request, Routes


@asynccontextmanager
async def telemetry_sink() -> AsyncIterator[str]:
    """The address for OTEL_EXPORTER_OTLP_ENDPOINT."""
    routes = Routes()

    async def take(request: Request) -> Reply[bytes]:
        await request.http.read()
        return Reply(b"", content_type="application/x-protobuf")

    routes.raw("POST", "/v1/{signal}", take, public=True)
    server = HttpServer("sink", routes, port=0)
    await server.start()
    server.open()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()
