"""A collector that counts spans, and may take its time: WEFT_BENCH_DELAY, seconds an answer."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.bench.subject import Meter, Place


@asynccontextmanager
async def counting(_: Place, meter: Meter) -> AsyncIterator[None]:
    """Take OTLP over HTTP; GET /count tells how many spans have come."""
    delay = float(os.environ.get("WEFT_BENCH_DELAY", "0"))
    spans: set[bytes] = set()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if delay:
            await asyncio.sleep(delay)
        if request.path.endswith("/traces"):
            await asyncio.to_thread(_count, body, spans)
        return web.Response(content_type="application/x-protobuf")

    async def count(_: web.Request) -> web.Response:
        return web.json_response(len(spans))

    app = web.Application(client_max_size=64 << 20)
    app.router.add_get("/count", count)
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        meter.address = f"http://{host}:{port}"
        yield
    finally:
        await runner.cleanup()


def _count(body: bytes, spans: set[bytes]) -> None:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            spans.update(span.span_id for span in scope.spans)
