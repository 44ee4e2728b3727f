"""Looks for the knee: the highest rate of orders that the system keeps up with. Pure, no clock."""

from dataclasses import dataclass, field
from typing import Final

KEEPS_UP: Final = 0.95
"""A stage is good when at least this share of the wanted orders finished, and of spans stored."""
FAILURES: Final = 0.01
"""And when at most this share of the orders failed: refused, or not finished in time."""
GROWTH: Final = 1.6
PRECISION: Final = 1.1
"""The search ends when the lowest bad rate is at most so many times the highest good one."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one rate did. Rates are orders a second, times are seconds from accepted to finished."""

    wanted: float
    accepted: float
    finished: float
    failed: int
    orders: int
    """How many finished: what the quantiles stand on."""
    p50: float
    p95: float
    p99: float
    p999: float
    cpu: float
    """Share of this machine's cores that were busy, from 0 to 1."""
    cores: dict[str, float] = field(default_factory=dict)
    """Cores that each program kept busy, where that can be seen."""
    stored: float = 1.0
    """Share of the spans that came to the collector meanwhile that it has passed on."""

    def good(self, limit: float) -> bool:
        """Whether the system kept up, with a p99 of at most `limit` seconds."""
        tried = self.orders + self.failed
        return (
            self.finished >= KEEPS_UP * self.wanted
            and self.stored >= KEEPS_UP
            and self.failed <= FAILURES * tried
            and self.p99 <= limit
        )


@dataclass
class Search:
    """Rates to try: growing until one is bad, then between the best good and the lowest bad one."""

    first: float
    highest: float
    stages: int
    limit: float
    """Seconds that p99 may take in a good stage."""
    done: list[Stage] = field(default_factory=list)

    def add(self, stage: Stage) -> None:
        """Take the result of the rate that `rate` gave."""
        self.done.append(stage)

    def rate(self) -> float | None:
        """Return the next rate, or None when the search has ended."""
        if not self.done:
            return min(self.first, self.highest)
        if len(self.done) >= self.stages:
            return None
        good, bad = self._best(), self._worst()
        if bad is None:
            return self._higher(good)
        if bad <= good * PRECISION or bad <= 1:
            return None
        return (good * bad) ** 0.5 if good else bad / 2

    def knee(self) -> Stage | None:
        """Return the best good stage; None if none was good."""
        good = [stage for stage in self.done if stage.good(self.limit)]
        return max(good, key=lambda stage: stage.wanted, default=None)

    @property
    def bounded(self) -> bool:
        """Whether some rate was too high: else the knee lies above what was tried."""
        return self._worst() is not None

    @property
    def overloaded(self) -> bool:
        """Whether the last stage was bad, so that there is something to recover from."""
        return bool(self.done) and not self.done[-1].good(self.limit)

    def _best(self) -> float:
        knee = self.knee()
        return knee.wanted if knee else 0.0

    def _worst(self) -> float | None:
        rates = [stage.wanted for stage in self.done if not stage.good(self.limit)]
        return min(rates, default=None)

    def _higher(self, good: float) -> float | None:
        return None if good >= self.highest else min(good * GROWTH, self.highest)
