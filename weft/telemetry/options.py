"""What a program may bring along for its telemetry, from the OpenTelemetry SDK."""

from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler


@dataclass(frozen=True, kw_only=True)
class TelemetryOptions:
    """Sampler, ids, resource and interval serve both engines; the others select the SDK's.

    `resource` is merged over the service's own. `span_exporter` takes the place of OTLP for spans.
    `metrics_every`: seconds between two exports of metrics, less where they steer something.
    """

    sampler: Sampler | None = None
    id_generator: IdGenerator | None = None
    resource: Resource | None = None
    span_processors: Sequence[SpanProcessor] = ()
    span_exporter: SpanExporter | None = None
    views: Sequence[View] = ()
    metric_readers: Sequence[MetricReader] = ()
    metrics_every: float = 5.0

    @property
    def for_sdk(self) -> tuple[str, ...]:
        """What of these only the SDK's engine can serve."""
        asked = {
            "a span processor": self.span_processors,
            "a span exporter": self.span_exporter,
            "a view": self.views,
            "a metric reader": self.metric_readers,
        }
        return tuple(name for name, given in asked.items() if given)
