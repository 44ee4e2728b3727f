"""OpenTelemetry as each library's documentation sets it up: three signals over OTLP/HTTP."""

import logging
import os
from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from faststream.rabbit.opentelemetry import RabbitTelemetryMiddleware
from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from sqlalchemy.ext.asyncio import AsyncEngine

ENABLED: Final = os.environ.get("OTEL_SDK_DISABLED", "") != "true"
_METRICS_EVERY: Final = 5000
"""Milliseconds, as in Weft's services; the SDK's own default is a minute."""


def start() -> None:
    """Set the providers up, before anything is made that uses them."""
    if not ENABLED:
        return
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(), _METRICS_EVERY)
    metrics.set_meter_provider(MeterProvider([reader]))
    loggers = LoggerProvider()
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    set_logger_provider(loggers)
    LoggingInstrumentor().instrument()
    logging.getLogger().setLevel(logging.INFO)
    # A line for each request and message is the services' own: no second one from their libraries.
    for name in ("httpx", "faststream"):
        logging.getLogger(name).setLevel(logging.WARNING)


def middlewares() -> Sequence[Any]:
    """Return what the broker is given."""
    return [RabbitTelemetryMiddleware()] if ENABLED else []


def of_server(app: FastAPI) -> None:
    """Instrument an application, without the spans for each ASGI event that most leave out."""
    if ENABLED:
        FastAPIInstrumentor.instrument_app(app, exclude_spans=["receive", "send"])


def of_clients() -> None:
    """Instrument every HTTP client that is made from now on."""
    if ENABLED:
        HTTPXClientInstrumentor().instrument()


def of_database(engine: AsyncEngine) -> None:
    """Instrument the statements of `engine`."""
    if ENABLED:
        SQLAlchemyInstrumentor().instrument(engine=engine.sync_engine)
