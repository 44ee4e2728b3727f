"""Served requests without a server, at once."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
import psutil
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

from benchmarks.bench import chassis
from benchmarks.bench.subject import Meter, Place, working
from weft.telemetry import record

SPANS: Final = 60_000
_AT_ONCE: Final = 100
_STILL_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 0.05
_MIB: Final = 1 << 20
_PATH: Final = "/orders/17"


@asynccontextmanager
async def weft(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Make the spans by the chassis' seam."""

    def serve() -> None:
        with record.http_server("GET", _PATH, port=80, headers={}, client="127.0.0.1") as call:
            call.route, call.status = "/orders/{order_id}", 200

    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = place.address
    async with chassis.telemetry(), working(_burst(place, meter, serve)):
        yield


@asynccontextmanager
async def sdk(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Make the spans by the SDK's tracer, exported as it does by itself."""
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = place.address
    provider = TracerProvider(resource=Resource.create({"service.name": "bench"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    tracer = trace.get_tracer("bench")

    def serve() -> None:
        attributes = {"http.request.method": "GET", "url.path": _PATH, "url.scheme": "http"}
        with tracer.start_as_current_span("GET", kind=SpanKind.SERVER, attributes=attributes):
            trace.get_current_span().set_attribute("http.response.status_code", 200)

    async with working(_burst(place, meter, serve)):
        yield
    provider.shutdown()


async def _burst(place: Place, meter: Meter, serve: Callable[[], None]) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    peak = before
    for _ in range(SPANS // _AT_ONCE):
        for _ in range(_AT_ONCE):
            serve()
        meter.units += _AT_ONCE
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(0)
    ended = came = time.monotonic()
    arrived = 0
    async with aiohttp.ClientSession() as session:
        while arrived < SPANS and time.monotonic() - came < _STILL_SECONDS:
            await asyncio.sleep(_LOOK_SECONDS)
            peak = max(peak, process.memory_info().rss)
            async with session.get(f"{place.address}/count") as answer:
                now = await answer.json()
            if now > arrived:
                arrived, came = now, time.monotonic()
    meter.figures["kept_ratio"] = arrived / SPANS
    meter.figures["peak_mib"] = (peak - before) / _MIB
    meter.figures["drained_s"] = came - ended
