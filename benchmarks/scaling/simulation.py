"""Reports that wait in line for workers whose number changes: a simulation of discrete events."""

import heapq
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from benchmarks.scaling.demand import SERVICE_TIME, Demand

RECENT: Final = 200
"""Finished reports of which the service time is the mean."""


@dataclass
class Line:
    """First come, first served; a worker that is one too many finishes its report and leaves."""

    demand: Demand
    workers: int = 0
    now: float = 0.0
    waits: list[float] = field(default_factory=list)
    worker_seconds: float = 0.0
    """Until the end of the day."""
    recent: deque[float] = field(
        default_factory=lambda: deque([SERVICE_TIME] * RECENT, maxlen=RECENT)
    )
    arrived: int = 0
    started: int = 0
    _busy: list[tuple[float, int]] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """How many reports have no worker yet."""
        return self.arrived - self.started

    @property
    def running(self) -> int:
        """How many have one."""
        return len(self._busy)

    @property
    def oldest(self) -> float:
        """For how long the first in line has waited."""
        return self.now - self.demand.arrivals[self.started] if self.waiting else 0.0

    @property
    def over(self) -> bool:
        """Whether the day is over, and every report has had its worker."""
        return self.now >= self.demand.length and self.started == len(self.demand.arrivals)

    def resize(self, workers: int) -> None:
        """Let there be that many workers from now on."""
        self.workers = workers
        self._start()

    def advance(self, until: float) -> None:
        """Let time pass."""
        arrivals = self.demand.arrivals
        while True:
            finish = self._busy[0][0] if self._busy else math.inf
            arrival = arrivals[self.arrived] if self.arrived < len(arrivals) else math.inf
            at = min(finish, arrival)
            if at > until:
                break
            self._pass(at)
            if finish <= arrival:
                _, number = heapq.heappop(self._busy)
                self.recent.append(self.demand.services[number])
            else:
                self.arrived += 1
            self._start()
        self._pass(until)

    def _pass(self, at: float) -> None:
        within = min(at, self.demand.length) - min(self.now, self.demand.length)
        self.worker_seconds += within * max(self.workers, len(self._busy))
        self.now = at

    def _start(self) -> None:
        while self.started < self.arrived and len(self._busy) < self.workers:
            number = self.started
            self.started += 1
            self.waits.append(self.now - self.demand.arrivals[number])
            heapq.heappush(self._busy, (self.now + self.demand.services[number], number))


class Scaler(Protocol):
    """Looks at the line now and then, and says how many workers there should be."""

    workers: int
    """How many there are at the beginning."""
    when: float
    """Its next look."""
    lag: float
    """Seconds until what it says is so."""

    def look(self, line: Line) -> int:
        """Return how many workers there should be, and move `when`."""


@dataclass(frozen=True)
class Outcome:
    """What became of a day. Waits in seconds, oldest report first."""

    waits: Sequence[float]
    worker_hours: float
    sizes: Sequence[tuple[float, int]]
    """From when there were to be how many workers."""

    def wait(self, share: float) -> float:
        """Return the wait that `share` of the reports did not exceed."""
        return percentile(self.waits, share)

    def reached(self, workers: float, since: float) -> float:
        """Return how long after `since` there were that many workers; inf if there never were."""
        at = next((at for at, size in self.sizes if at >= since and size >= workers), math.inf)
        return at - since


def run(demand: Demand, scaler: Scaler) -> Outcome:
    """Let `scaler` have the day, and return what became of it."""
    line = Line(demand, scaler.workers)
    sizes = [(0.0, scaler.workers)]
    while not line.over:
        line.advance(scaler.when)
        size = scaler.look(line)
        line.advance(line.now + scaler.lag)
        if size != line.workers:
            sizes.append((line.now, size))
            line.resize(size)
    return Outcome(line.waits, line.worker_seconds / 3600, sizes)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of `values` that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
