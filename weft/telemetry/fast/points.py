"""The points of the chassis' instruments, handed to the same export as the SDK's own."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from weft.telemetry.instruments import ALL, Instrument, Series

SCOPE = "weft"


class WithOurs(MetricExporter):
    """Exports to `inner` what the SDK has collected and our points, which `collect` gives."""

    def __init__(
        self, inner: MetricExporter, resource: Resource, collect: Callable[[], list[Metric]]
    ) -> None:
        super().__init__(
            preferred_temporality=inner._preferred_temporality,  # noqa: SLF001 - as the SDK does
            preferred_aggregation=inner._preferred_aggregation,  # noqa: SLF001
        )
        self._inner = inner
        self._resource = resource
        self._collect = collect

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Export all points of this process in one request."""
        whole = with_points(metrics_data, self._resource, self._collect())
        return self._inner.export(whole, timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush `inner`."""
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Close `inner`."""
        self._inner.shutdown(timeout_millis, **kwargs)


def points() -> list[Metric]:
    """Return the points of all instruments that have some, as they are now."""
    now = time.time_ns()
    return [_metric(instrument, now) for instrument in ALL if instrument.series]


def with_points(data: MetricsData, resource: Resource, ours: list[Metric]) -> MetricsData:
    """Return `data` with `ours` in the scope `weft`."""
    if not ours:
        return data
    if not data.resource_metrics:
        data = MetricsData([ResourceMetrics(resource, [], resource.schema_url)])
    first, *others = data.resource_metrics
    scopes = list(first.scope_metrics)
    for position, scope in enumerate(scopes):
        if scope.scope.name == SCOPE:
            scopes[position] = replace(scope, metrics=[*scope.metrics, *ours])
            break
    else:
        scopes.append(ScopeMetrics(InstrumentationScope(SCOPE, ""), ours, ""))
    return MetricsData([replace(first, scope_metrics=scopes), *others])


def _metric(instrument: Instrument, now: int) -> Metric:
    series = list(instrument.series.values())
    cumulative = AggregationTemporality.CUMULATIVE
    data: HistogramData | Sum
    if instrument.bounds is None:
        data = Sum([_number(each, now) for each in series], cumulative, is_monotonic=True)
    else:
        data = HistogramData([_histogram(each, now) for each in series], cumulative)
    return Metric(instrument.name, instrument.description, instrument.unit, data)


def _number(series: Series, now: int) -> NumberDataPoint:
    return NumberDataPoint(
        series.labels.attributes, series.since, now, round(series.sum), _exemplars(series)
    )


def _histogram(series: Series, now: int) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes=series.labels.attributes,
        start_time_unix_nano=series.since,
        time_unix_nano=now,
        count=series.count,
        sum=series.sum,
        bucket_counts=list(series.buckets),
        explicit_bounds=list(series.bounds),
        min=series.min,
        max=series.max,
        exemplars=_exemplars(series),
    )


def _exemplars(series: Series) -> list[Exemplar]:
    """Return what was seen since the last export, and begin anew."""
    taken, series.exemplars = series.exemplars, [None] * len(series.exemplars)
    return [
        Exemplar({}, value, at, span.span_id, span.trace_id)
        for value, at, span in (each for each in taken if each is not None)
    ]
