"""The same server with OpenTelemetry's own instrumentation, on the packages of official.lock."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from benchmarks.bench.http.servers import handle, serving
from benchmarks.bench.subject import Meter, Place

log = logging.getLogger("bench")


@asynccontextmanager
async def official(_: Place, meter: Meter) -> AsyncIterator[None]:
    """Serve with spans and metrics by the instrumentation, and one log record a request."""
    resource = Resource.create({"service.name": "bench"})
    tracers = TracerProvider(resource=resource)
    # Queues that hold what comes between two exports, so that nothing is saved by dropping it.
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), 65_536, 500, 2048))
    trace.set_tracer_provider(tracers)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(), 5000)
    meters = MeterProvider([reader], resource)
    metrics.set_meter_provider(meters)
    loggers = LoggerProvider(resource)
    loggers.add_log_record_processor(
        BatchLogRecordProcessor(OTLPLogExporter(), 500, 2048, 30_000, 65_536)
    )
    log.addHandler(LoggingHandler(logger_provider=loggers))
    log.setLevel(logging.INFO)
    AioHttpServerInstrumentor().instrument()

    async def told(request: web.Request) -> web.StreamResponse:
        response = await handle(request)
        log.info("request served", extra={"url.path": request.path, "status": response.status})
        return response

    try:
        # Made after the instrumentation, which puts its own class in the place of aiohttp's.
        async with serving(meter, web.Application(), told):
            yield
    finally:
        for provider in (tracers, meters, loggers):
            provider.shutdown()
