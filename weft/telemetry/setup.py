"""The three signals of a process: an engine, its providers and exporters, and their end.

The standard variables are honoured: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_PROPAGATORS, OTEL_SDK_DISABLED, span limits.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import (
    _get_from_env_or_default,
)

from weft.telemetry import accounting, log, record
from weft.telemetry.console import Console
from weft.telemetry.exporting import (
    Collector,
    PatientLogExporter,
    PatientSpanExporter,
    Started,
    run_with_deadline,
)
from weft.telemetry.options import TelemetryOptions
from weft.telemetry.process import observe_process
from weft.telemetry.sampling import EdgeSampler
from weft.telemetry.sdk import SdkEngine, Silent
from weft.telemetry.starts import WithStarts

DELAY_MS = 500
"""Spans and logs wait at most this long for company before they leave (the SDK's engine)."""

QUEUE = 65_536
BATCH = 2048

EngineName = Literal["fast", "sdk"]
Exporters = tuple[SpanExporter, MetricExporter, LogRecordExporter]
_DEFAULT = TelemetryOptions()


class Telemetry:
    """The engine and the providers of this process. Made once, before anything records.

    `engine` is a wish: what only the SDK can serve (`options`, OTLP over gRPC) selects the SDK's
    with one log line. `spill` is the folder where telemetry waits for the collector.
    """

    def __init__(
        self,
        service: str,
        *,
        version: str,
        instance: int,
        environment: str,
        console: Console,
        level: str,
        engine: EngineName = "fast",
        spill: Path | None = None,
        options: TelemetryOptions = _DEFAULT,
    ) -> None:
        log.configure(console, level)
        # What these would say at every export, Collector says once.
        for noisy in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal"):
            logging.getLogger(noisy).setLevel(logging.CRITICAL + 1)
        resource = _resource(service, version, instance, environment)
        if options.resource is not None:
            resource = resource.merge(options.resource)
        endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
        # Set and not only defaulted: "localhost" may mean ::1 first, where nobody listens.
        os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        self._collector = Collector(endpoint, log.emit)
        self._endings: list[Callable[[], object]] = []
        sampler = EdgeSampler(options.sampler or _get_from_env_or_default())
        reasons = _reasons_for_sdk(options)
        if engine == "sdk" or reasons:
            self._by_sdk(resource, sampler, options)
        else:
            self._fast(resource, sampler, options, f"{service}-{instance}", spill)
        observe_process()
        if engine != "sdk" and reasons and not _is_disabled():
            facts = {"weft.telemetry.reason": ", ".join(reasons)}
            log.emit("INFO", "weft.telemetry", "the SDK's engine is used", facts)

    def shutdown(self, seconds: float) -> bool:
        """Send what is left and close, in at most about `seconds`; return whether all was sent.

        The SDK alone can hang for minutes here when the collector is away.
        """
        ended = run_with_deadline(self._endings, seconds)
        self._collector.closing.set()
        return ended

    def _by_sdk(self, resource: Resource, sampler: EdgeSampler, options: TelemetryOptions) -> None:
        spans, points, records = _exporters()
        counted = accounting.records()
        started = Started(counted)
        tracers = TracerProvider(
            sampler=sampler,
            resource=resource,
            id_generator=options.id_generator,
            shutdown_on_exit=False,
        )
        patient = PatientSpanExporter(options.span_exporter or spans, self._collector, counted)
        tracers.add_span_processor(started)
        tracers.add_span_processor(
            BatchSpanProcessor(
                patient,
                max_queue_size=QUEUE,
                schedule_delay_millis=DELAY_MS,
                max_export_batch_size=BATCH,
            )
        )
        for processor in options.span_processors:
            tracers.add_span_processor(processor)
        loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        loggers.add_log_record_processor(started)
        loggers.add_log_record_processor(
            BatchLogRecordProcessor(
                PatientLogExporter(records, self._collector, counted),
                max_queue_size=QUEUE,
                schedule_delay_millis=DELAY_MS,
                max_export_batch_size=BATCH,
            )
        )
        meters = _meters(points, resource, options)
        _set(tracers, meters, loggers)
        record.use(Silent() if _is_disabled() else SdkEngine())
        accounting.count(counted)
        self._endings += [tracers.shutdown, meters.shutdown, loggers.shutdown]

    def _fast(
        self,
        resource: Resource,
        sampler: EdgeSampler,
        options: TelemetryOptions,
        name: str,
        spill: Path | None,
    ) -> None:
        from weft.telemetry.fast.assembly import assemble  # noqa: PLC0415 - the SDK's needs none

        fast = assemble(resource, sampler, options.id_generator, self._collector, name, spill)
        meters = _meters(fast.metric_exporter, resource, options)
        _set(fast.tracers, meters, fast.loggers)
        record.use(fast.engine)
        self._endings += [meters.shutdown, fast.delivery.close]


def _reasons_for_sdk(options: TelemetryOptions) -> list[str]:
    reasons = list(options.for_sdk)
    if _protocol() == "grpc":
        reasons.append("OTLP over gRPC")
    if _is_disabled():
        reasons.append("OTEL_SDK_DISABLED")
    return reasons


def _is_disabled() -> bool:
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _protocol() -> str:
    return os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")


def _set(tracers: TracerProvider, meters: MeterProvider, loggers: LoggerProvider) -> None:
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)
    set_logger_provider(loggers)


def _meters(
    exporter: MetricExporter, resource: Resource, options: TelemetryOptions
) -> MeterProvider:
    reader = PeriodicExportingMetricReader(
        WithStarts(exporter), export_interval_millis=options.metrics_every * 1000
    )
    return MeterProvider(
        [reader, *options.metric_readers],
        resource=resource,
        views=options.views,
        shutdown_on_exit=False,
    )


def _resource(service: str, version: str, instance: int, environment: str) -> Resource:
    ours = {
        "service.name": service,
        "service.namespace": "weft",
        "service.version": version,
        "service.instance.id": f"{service}-{instance}",
        "deployment.environment.name": environment,
    }
    told = OTELResourceDetector().detect()  # OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME
    return Resource.create(ours).merge(told)


def _exporters() -> Exporters:
    """Exporters for OTEL_EXPORTER_OTLP_PROTOCOL: http/protobuf (the default) or grpc."""
    if _protocol() == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import (  # noqa: PLC0415 - heavy
            OTLPLogExporter as GrpcLogs,
        )
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (  # noqa: PLC0415
            OTLPMetricExporter as GrpcMetrics,
        )
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter as GrpcSpans,
        )

        return GrpcSpans(), GrpcMetrics(), GrpcLogs()
    from opentelemetry.exporter.otlp.proto.http._log_exporter import (  # noqa: PLC0415 - only here
        OTLPLogExporter,
    )
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415
        OTLPMetricExporter,
    )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )

    return OTLPSpanExporter(), OTLPMetricExporter(), OTLPLogExporter()
