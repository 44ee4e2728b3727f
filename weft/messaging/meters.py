"""What a consumer's state looks like from outside."""

from weft.telemetry import gauge, record

OUTCOMES = ("processed", "duplicate", "retried", "dead")

_Labels = tuple[tuple[str, str], ...]
_in_flight: dict[_Labels, float] = {}
_concurrency: dict[_Labels, float] = {}
_prefetch: dict[_Labels, float] = {}
_paused: dict[_Labels, float] = {}

# The exporter's thread reads: a copy is one step, a walk over the dictionary would not be.
gauge(
    "weft.consumer.in_flight", "{message}", "Messages in handlers' hands.", lambda: {**_in_flight}
)
gauge(
    "weft.consumer.concurrency",
    "{message}",
    "Bound of messages in handlers' hands.",
    lambda: {**_concurrency},
)
gauge(
    "weft.consumer.prefetch",
    "{message}",
    "Bound of messages delivered and not settled.",
    lambda: {**_prefetch},
)
gauge(
    "weft.consumer.paused",
    "{consumer}",
    "1 while the consumer waits for a dependency, else 0.",
    lambda: {**_paused},
)


class Meters:
    """The gauges of one queue's consumer in this process."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._labels: _Labels = (("queue", queue),)

    def limits(self, *, prefetch: int, concurrency: int) -> None:
        """Note the bounds of messages held and in hand."""
        for outcome in OUTCOMES:  # so that a rate of what never happened yet is 0, and not absent
            record.nothing_consumed(self._queue, outcome)
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
