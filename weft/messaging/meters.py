"""What a consumer's state looks like from outside."""

from collections.abc import Callable, Mapping

from weft.telemetry import counter, gauge

messages = counter(
    "weft.consumer.messages", "{message}", "Messages that a consumer is done with, by outcome."
)

_Labels = tuple[tuple[str, str], ...]
_Series = dict[_Labels, float]


def _gauge(name: str, unit: str, description: str) -> _Series:
    series: _Series = {}
    read: Callable[[], Mapping[_Labels, float]] = series.copy
    gauge(name, unit, description, read)
    return series


_in_flight = _gauge("weft.consumer.in_flight", "{message}", "Messages in handlers' hands.")
_concurrency = _gauge("weft.consumer.concurrency", "{message}", "Bound of messages in hand.")
_prefetch = _gauge("weft.consumer.prefetch", "{message}", "Bound of messages held.")
_paused = _gauge("weft.consumer.paused", "{consumer}", "1 while a dependency is away, else 0.")


class Meters:
    """The gauges of one queue's consumer in this process."""

    def __init__(self, queue: str) -> None:
        self._labels: _Labels = (("queue", queue),)

    def limits(self, *, prefetch: int, concurrency: int) -> None:
        """Note the bounds of messages held and in hand."""
        _prefetch[self._labels] = prefetch
        _concurrency[self._labels] = concurrency
        self.in_flight(0)
        self.paused(flag=False)

    def in_flight(self, count: int) -> None:
        """Note how many messages are in hand."""
        _in_flight[self._labels] = count

    def paused(self, *, flag: bool) -> None:
        """Note whether the consumer waits for a dependency."""
        _paused[self._labels] = int(flag)
