"""Instruments on the OpenTelemetry API. Every name of ours is listed in registry/weft.yaml."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from opentelemetry import metrics
from opentelemetry.metrics import (
    CallbackOptions,
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    Observation,
    UpDownCounter,
)

from weft.telemetry import starts

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Bucket bounds that the semantic conventions give for HTTP and messaging durations."""

DATABASE_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Bucket bounds that the semantic conventions give for database durations."""

Readings = dict[tuple[tuple[str, str | int], ...], float]
"""Numbers by their attributes."""

Values = (
    float
    | Mapping[tuple[tuple[str, str], ...], float]
    | Mapping[tuple[tuple[str, str | int], ...], float]
)


def counter(name: str, unit: str, description: str) -> Counter:
    """Return a counter: a sum that only grows."""
    return _meter().create_counter(name, unit, description)


def up_down_counter(name: str, unit: str, description: str) -> UpDownCounter:
    """Return a sum that grows and shrinks."""
    return _meter().create_up_down_counter(name, unit, description)


def histogram(
    name: str, unit: str, description: str, buckets: Sequence[float] = SECONDS
) -> Histogram:
    """Return a histogram with explicit cumulative buckets."""
    return _meter().create_histogram(
        name, unit, description, explicit_bucket_boundaries_advisory=list(buckets)
    )


def gauge(name: str, unit: str, description: str, read: Callable[[], Values]) -> ObservableGauge:
    """Return a gauge that calls `read` at each export, in the exporter's thread.

    `read` returns one number, or a mapping from attributes (a tuple of pairs) to numbers.
    """

    return _meter().create_observable_gauge(name, [_observing(read)], unit, description)


def observed_counter(
    name: str,
    unit: str,
    description: str,
    read: Callable[[], Values],
    *,
    since: float | None = None,
) -> ObservableCounter:
    """Return a counter of what is counted elsewhere; `read` as for `gauge`.

    `since` is the time (seconds since the epoch) from which it is counted, where that is not the
    start of this process.
    """
    if since is not None:
        starts.SINCE[name] = int(since * 1_000_000_000)
    return _meter().create_observable_counter(name, [_observing(read)], unit, description)


def observed_up_down_counter(
    name: str, unit: str, description: str, read: Callable[[], Values]
) -> ObservableUpDownCounter:
    """Return a sum that is kept elsewhere and grows and shrinks; `read` as for `gauge`."""
    return _meter().create_observable_up_down_counter(name, [_observing(read)], unit, description)


def _observing(read: Callable[[], Values]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        values = read()
        if isinstance(values, Mapping):
            return [Observation(value, dict(attributes)) for attributes, value in values.items()]
        return [Observation(values)]

    return observe


def _meter() -> metrics.Meter:
    return metrics.get_meter("weft")
