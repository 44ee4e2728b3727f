"""The instruments that the chassis' own calls feed, and their points where the SDK keeps none.

On the SDK engine a measurement goes to the SDK's instrument. The fast engine aggregates it here,
cumulative since the start of the series, and hands the points to the same export
(`fast/points.py`).
"""

import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Protocol

from weft.telemetry.labels import Labels
from weft.telemetry.metrics import DATABASE_SECONDS, SECONDS, counter, histogram

SERIES_LIMIT = 2000
"""Series of one instrument; what comes beyond is one series, `otel.metric.overflow`."""

_OVERFLOW = Labels({"otel.metric.overflow": True})


class Witness(Protocol):
    """The span that an exemplar names."""

    @property
    def trace_id(self) -> int: ...
    @property
    def span_id(self) -> int: ...


class Series:
    """The points of one attribute set. `exemplars` has one (value, time in ns, span) a bucket."""

    __slots__ = ("bounds", "buckets", "count", "exemplars", "labels", "max", "min", "since", "sum")

    def __init__(self, labels: Labels, bounds: Sequence[float]) -> None:
        self.labels = labels
        self.bounds = bounds
        self.since = time.time_ns()
        self.buckets = [0] * (len(bounds) + 1)
        self.exemplars: list[tuple[float, int, Witness] | None] = [None] * (len(bounds) + 1)
        self.count = 0
        self.sum = 0.0
        self.min = float("inf")
        self.max = float("-inf")

    def record(self, value: float, now: int, witness: Witness | None) -> None:
        """Add one measurement of the time `now` (ns); `witness` is its sampled span, if any."""
        bucket = bisect_left(self.bounds, value)
        self.buckets[bucket] += 1
        self.count += 1
        self.sum += value
        if value < self.min:  # noqa: PLR1730 - min() costs as much as all the rest
            self.min = value
        if value > self.max:  # noqa: PLR1730
            self.max = value
        if witness is not None:
            self.exemplars[bucket] = (value, now, witness)


class Instrument:
    """A histogram (with `bounds`) or a counter (without) of the semantic conventions or of ours."""

    def __init__(
        self, name: str, unit: str, description: str, bounds: Sequence[float] | None = None
    ) -> None:
        self.name = name
        self.unit = unit
        self.description = description
        self.bounds = bounds
        self.series: dict[frozenset[tuple[str, Any]], Series] = {}
        self._api: Any = (
            counter(name, unit, description)
            if bounds is None
            else histogram(name, unit, description, bounds)
        )

    def by_sdk(self, value: float, labels: Labels, ctx: Any = None) -> None:
        """Give one measurement to the SDK's instrument."""
        if self.bounds is None:
            self._api.add(value, labels.attributes, context=ctx)
        else:
            self._api.record(value, labels.attributes, context=ctx)

    def measured(self) -> int:
        """Return how many measurements a histogram has, or what a counter has come to."""
        series = list(self.series.values())
        if self.bounds is None:
            return round(sum(each.sum for each in series))
        return sum(each.count for each in series)

    def of(self, labels: Labels) -> Series:
        """Return the series of `labels`."""
        found = labels.series.get(self)
        if found is None:
            found = labels.series[self] = self._made(labels)
        return found

    def _made(self, labels: Labels) -> Series:
        if labels.key not in self.series and len(self.series) >= SERIES_LIMIT:
            labels = _OVERFLOW
        series = self.series.get(labels.key)
        if series is None:
            series = self.series[labels.key] = Series(labels, self.bounds or ())
        return series


http_server_duration = Instrument(
    "http.server.request.duration", "s", "Duration of HTTP server requests.", SECONDS
)
http_client_duration = Instrument(
    "http.client.request.duration", "s", "Duration of HTTP client requests.", SECONDS
)
messaging_operation_duration = Instrument(
    "messaging.client.operation.duration",
    "s",
    "Duration of messaging operations by a client.",
    SECONDS,
)
messaging_process_duration = Instrument(
    "messaging.process.duration", "s", "Duration of processing a message.", SECONDS
)
messaging_sent = Instrument(
    "messaging.client.sent.messages", "{message}", "Messages that a producer tried to send."
)
messaging_consumed = Instrument(
    "messaging.client.consumed.messages", "{message}", "Messages delivered to the application."
)
db_operation_duration = Instrument(
    "db.client.operation.duration", "s", "Duration of database client operations.", DATABASE_SECONDS
)
consumer_messages = Instrument(
    "weft.consumer.messages", "{message}", "Messages that a consumer is done with, by outcome."
)

ALL = (
    http_server_duration,
    http_client_duration,
    messaging_operation_duration,
    messaging_process_duration,
    messaging_sent,
    messaging_consumed,
    db_operation_duration,
    consumer_messages,
)
