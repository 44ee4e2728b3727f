"""Since when counters count that are kept elsewhere: the kernel's, since the machine's start.

The SDK says that every counter starts with its process. A backend that takes that for a zero, as
Prometheus does, would see a jump from there to all that the machine has ever counted.
"""

from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics.export import (
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

SINCE: dict[str, int] = {}
"""Nanoseconds since the epoch, by the counter's name."""


class WithStarts(MetricExporter):
    """Exports to `inner`, with the starts that are known."""

    def __init__(self, inner: MetricExporter) -> None:
        super().__init__(
            preferred_temporality=inner._preferred_temporality,  # noqa: SLF001 - as the SDK does
            preferred_aggregation=inner._preferred_aggregation,  # noqa: SLF001
        )
        self._inner = inner

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Export all points, those of the counters in SINCE with their own start."""
        told = with_starts(metrics_data) if SINCE else metrics_data
        return self._inner.export(told, timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush `inner`."""
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Close `inner`."""
        self._inner.shutdown(timeout_millis, **kwargs)


def with_starts(data: MetricsData) -> MetricsData:
    """Return `data` with the starts of the counters in SINCE."""
    return MetricsData([_resource(each) for each in data.resource_metrics])


def _resource(group: ResourceMetrics) -> ResourceMetrics:
    return replace(group, scope_metrics=[_scope(each) for each in group.scope_metrics])


def _scope(group: ScopeMetrics) -> ScopeMetrics:
    return replace(group, metrics=[_metric(each) for each in group.metrics])


def _metric(metric: Metric) -> Metric:
    since = SINCE.get(metric.name)
    if since is None or not isinstance(metric.data, Sum):
        return metric
    points: list[NumberDataPoint] = [
        replace(point, start_time_unix_nano=since) for point in metric.data.data_points
    ]
    return replace(metric, data=replace(metric.data, data_points=points))
