"""A collector's door for processes under test: it takes all telemetry."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from weft.http import HttpServer, Reply, Request, Routes


@asynccontextmanager
async def telemetry_sink(kept: list[bytes] | None = None) -> AsyncIterator[str]:
    """The address for OTEL_EXPORTER_OTLP_ENDPOINT; what comes is appended to `kept`."""
    routes = Routes()

    async def take(request: Request) -> Reply[bytes]:
        body = await request.http.read()
        if kept is not None:
            packed = request.headers.get("Content-Encoding") == "gzip"
            kept.append(gzip.decompress(body) if packed else body)
        return Reply(b"", content_type="application/x-protobuf")

    routes.raw("POST", "/v1/{signal}", take, public=True)
    server = HttpServer("sink", routes, port=0)
    await server.start()
    server.open()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()
