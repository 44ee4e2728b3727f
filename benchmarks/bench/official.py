"""The SDK as its documentation sets it up, for variants with the official instrumentations.

Needs the packages of official.lock and none of ours.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

ROOM: Final = 65_536
"""Queues that hold what comes between two exports, so that nothing is saved by dropping it."""

log = logging.getLogger("bench")


@contextmanager
def sdk() -> Iterator[None]:
    """Set the three signals up; `log` is a logger whose lines are exported."""
    resource = Resource.create({"service.name": "bench"})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), ROOM, 500, 2048))
    trace.set_tracer_provider(tracers)
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(), 5000)], resource)
    metrics.set_meter_provider(meters)
    loggers = LoggerProvider(resource)
    loggers.add_log_record_processor(
        BatchLogRecordProcessor(OTLPLogExporter(), 500, 2048, 30_000, ROOM)
    )
    log.addHandler(LoggingHandler(logger_provider=loggers))
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        for provider in (tracers, meters, loggers):
            provider.shutdown()
