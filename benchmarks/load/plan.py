"""Turns the search's rates into numbers of users over time, and measures each stage."""

import math
from collections.abc import Callable
from typing import Final, Protocol

from benchmarks.load.journal import Journal
from benchmarks.load.search import Search, Stage

PACE: Final = 3.0
"""Seconds from one order of a user to the user's next."""
SETTLE: Final = PACE + 2
"""Seconds of a stage before it is measured: new users spread over one pace."""
REST: Final = 15.0
"""Seconds for the system to recover from a stage that was too much."""
ORDERS: Final = 1_000_000
"""The run ends at the stage in which so many orders have finished."""


class Meter(Protocol):
    """Measures what programs take (see `usage.Usage`)."""

    def start(self) -> None: ...
    def measured(self) -> tuple[float, dict[str, float]]: ...


class Telemetry(Protocol):
    """Tells whether telemetry keeps up (see `backlog.Backlog`)."""

    def start(self) -> None: ...
    def stored(self) -> float: ...


class Plan:
    """How many users there are at any time; `clock` gives seconds."""

    def __init__(
        self,
        search: Search,
        journal: Journal,
        meter: Meter,
        telemetry: Telemetry,
        *,
        seconds: float,
        clock: Callable[[], float],
        say: Callable[[Stage], None] = lambda _: None,
    ) -> None:
        self._search = search
        self._journal = journal
        self._meter = meter
        self._telemetry = telemetry
        self._seconds = seconds
        self._clock = clock
        self._say = say
        self._rate = search.rate()
        self._began = clock()
        self._measuring_since: float | None = None

    def users(self) -> int | None:
        """Return the number of users for now, 0 for a rest; None when the run is over.

        Ask about once a second: stages begin and end when this is asked.
        """
        if self._rate is None:
            return None
        now = self._clock()
        if now < self._began:
            return 0
        if self._measuring_since is None:
            if now - self._began >= SETTLE:
                self._measure(now)
        elif now - self._measuring_since >= self._seconds:
            return self._next(now, now - self._measuring_since)
        return math.ceil(self._rate * PACE)

    def _measure(self, now: float) -> None:
        self._measuring_since = now
        self._journal.start()
        self._meter.start()
        self._telemetry.start()

    def _next(self, now: float, seconds: float) -> int | None:
        cpu, cores = self._meter.measured()
        stored = self._telemetry.stored()
        stage = self._journal.stage(self._rate or 0.0, seconds, cpu=cpu, cores=cores, stored=stored)
        self._search.add(stage)
        self._say(stage)
        self._rate = self._search.rate() if self._journal.total < ORDERS else None
        self._measuring_since = None
        self._began = now + REST if self._search.overloaded else now
        return self.users()
