"""A counter of what was counted long before its process says so."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)

from weft.telemetry import metrics, observed_counter, starts

LONG_AGO = 1_600_000_000.5


class Kept(MetricExporter):
    def __init__(self) -> None:
        super().__init__()
        self.data: list[MetricsData] = []

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        del timeout_millis, kwargs
        self.data.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        del timeout_millis
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass


@pytest.fixture
def meters(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[MeterProvider, Kept]]:
    kept = Kept()
    reader = PeriodicExportingMetricReader(
        starts.WithStarts(kept), export_interval_millis=float("inf")
    )
    provider = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr(metrics, "_meter", lambda: provider.get_meter("weft"))
    monkeypatch.setattr(starts, "SINCE", {})
    yield provider, kept
    provider.shutdown()


def begins(kept: Kept) -> dict[str, set[int]]:
    return {
        metric.name: {point.start_time_unix_nano for point in metric.data.data_points}
        for data in kept.data
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_points_of_a_counter_kept_elsewhere_start_when_it_did(
    meters: tuple[MeterProvider, Kept],
) -> None:
    provider, kept = meters
    before = time.time_ns()
    readings = {(("mode", mode),): 1e6 for mode in ("user", "idle")}
    observed_counter("of.the.kernel", "s", "Kept elsewhere.", lambda: readings, since=LONG_AGO)
    observed_counter("of.this.process", "s", "Kept here.", lambda: 1.0)
    provider.force_flush()
    seen = begins(kept)
    assert seen["of.the.kernel"] == {1_600_000_000_500_000_000}
    assert min(seen["of.this.process"]) >= before


def test_nothing_is_changed_where_no_counter_is_kept_elsewhere(
    meters: tuple[MeterProvider, Kept],
) -> None:
    provider, kept = meters
    observed_counter("of.this.process", "s", "Kept here.", lambda: 1.0)
    provider.force_flush()
    assert set(begins(kept)) == {"of.this.process"}
