"""The three signals of a process: providers of the OpenTelemetry SDK, exporters, and their end.

The standard variables are honoured: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_PROPAGATORS, OTEL_SDK_DISABLED, span limits.
"""

import logging
import os
from collections.abc import Sequence

from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import (
    Sampler,
    SamplingResult,
    _get_from_env_or_default,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from weft.telemetry import log
from weft.telemetry.console import Console
from weft.telemetry.context import EDGE
from weft.telemetry.exporting import (
    Collector,
    PatientLogExporter,
    PatientSpanExporter,
    run_with_deadline,
)
from weft.telemetry.process import observe_process

DELAY_MS = 500
"""Spans and logs wait at most this long for company before they leave."""

METRICS_MS = 5000
QUEUE = 65_536
BATCH = 2048

Exporters = tuple[SpanExporter, MetricExporter, LogRecordExporter]


class Telemetry:
    """The providers of this process. Made once, before anything records."""

    def __init__(
        self,
        service: str,
        *,
        version: str,
        instance: int,
        environment: str,
        console: Console,
        level: str,
    ) -> None:
        log.configure(console, level)
        # What these would say at every export, Collector says once.
        for noisy in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal"):
            logging.getLogger(noisy).setLevel(logging.CRITICAL + 1)
        resource = _resource(service, version, instance, environment)
        endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
        self._collector = Collector(endpoint, log.emit)
        spans, points, records = _exporters(endpoint)

        self._tracers = TracerProvider(
            sampler=EdgeSampler(_get_from_env_or_default()),
            resource=resource,
            shutdown_on_exit=False,
        )
        self._tracers.add_span_processor(
            BatchSpanProcessor(
                PatientSpanExporter(spans, self._collector),
                max_queue_size=QUEUE,
                schedule_delay_millis=DELAY_MS,
                max_export_batch_size=BATCH,
            )
        )
        self._meters = MeterProvider(
            [PeriodicExportingMetricReader(points, export_interval_millis=METRICS_MS)],
            resource=resource,
            shutdown_on_exit=False,
        )
        self._loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self._loggers.add_log_record_processor(
            BatchLogRecordProcessor(
                PatientLogExporter(records, self._collector),
                max_queue_size=QUEUE,
                schedule_delay_millis=DELAY_MS,
                max_export_batch_size=BATCH,
            )
        )
        trace.set_tracer_provider(self._tracers)
        metrics.set_meter_provider(self._meters)
        set_logger_provider(self._loggers)
        observe_process()

    def shutdown(self, seconds: float) -> bool:
        """Send what is left and close, in at most about `seconds`; return whether all was sent.

        The SDK alone can hang for minutes here when the collector is away.
        """
        providers = (self._tracers, self._meters, self._loggers)
        ended = run_with_deadline([provider.shutdown for provider in providers], seconds)
        self._collector.closing.set()
        return ended


class EdgeSampler(Sampler):
    """Lets the configured sampler decide about a request from outside as about a root span."""

    def __init__(self, configured: Sampler) -> None:
        self._configured = configured
        self._root: Sampler = getattr(configured, "_root", configured)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide by OTEL_TRACES_SAMPLER; a foreign sampled flag counts for nothing at the edge."""
        sampler = self._root if parent_context and EDGE in parent_context else self._configured
        return sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Name the configured sampler."""
        return f"EdgeSampler{{{self._configured.get_description()}}}"


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


def _exporters(endpoint: str) -> Exporters:
    """Exporters for OTEL_EXPORTER_OTLP_PROTOCOL: http/protobuf (the default) or grpc."""
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf") == "grpc":
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

    # Set and not only defaulted: "localhost" may mean ::1 first, where nobody listens.
    os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    return OTLPSpanExporter(), OTLPMetricExporter(), OTLPLogExporter()
