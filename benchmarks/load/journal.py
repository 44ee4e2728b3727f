"""What happened to the orders of one stage, and the slowest of the whole run. Bounded."""

import heapq
from dataclasses import dataclass, field
from typing import Final

from benchmarks.load.search import Stage

SLOWEST: Final = 20
SAMPLES: Final = 500_000
"""Orders of one stage whose duration is kept."""


@dataclass(frozen=True, order=True)
class Order:
    """A finished order: seconds from accepted to finished, and where to read more of it."""

    seconds: float
    order_id: str
    trace_id: str
    status: str


@dataclass
class Journal:
    """Counts between `start` and `stage`; what finishes outside of that counts for nothing."""

    slowest: list[Order] = field(default_factory=list)
    total: int = 0
    """Orders finished in the whole run."""
    _accepted: int = 0
    _finished: int = 0
    _failed: int = 0
    _seconds: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Forget what was counted, but not the slowest."""
        self._accepted = self._finished = self._failed = 0
        self._seconds = []

    def accepted(self) -> None:
        self._accepted += 1

    def failed(self) -> None:
        """An order was refused, or was not seen to finish in time."""
        self._failed += 1

    def finished(self, order: Order) -> None:
        self.total += 1
        self._finished += 1
        if len(self._seconds) < SAMPLES:
            self._seconds.append(order.seconds)
        if len(self.slowest) < SLOWEST:
            heapq.heappush(self.slowest, order)
        else:
            heapq.heappushpop(self.slowest, order)

    def stage(
        self, wanted: float, seconds: float, *, cpu: float, cores: dict[str, float], stored: float
    ) -> Stage:
        """Return what was counted in the `seconds` since `start`, at the rate `wanted`."""
        times = sorted(self._seconds)
        return Stage(
            wanted=wanted,
            accepted=self._accepted / seconds,
            finished=self._finished / seconds,
            failed=self._failed,
            orders=self._finished,
            p50=quantile(times, 0.5),
            p95=quantile(times, 0.95),
            p99=quantile(times, 0.99),
            p999=quantile(times, 0.999),
            cpu=cpu,
            cores=cores,
            stored=stored,
        )


def quantile(ordered: list[float], share: float) -> float:
    """Return the nearest-rank quantile of sorted values; infinity where there are none."""
    if not ordered:
        return float("inf")
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]
