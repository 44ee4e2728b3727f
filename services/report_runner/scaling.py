"""How many workers there should be: what drains the backlog in time, and what comes in needs.

Pure: no I/O, no clock. docs/scaling.md explains the policy and measures it.
"""

import math
from collections import deque
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from services.report_runner.arrivals import Arrivals, Forecast, Forecaster
from services.report_runner.forecast import DoubleMovingAverage
from services.report_runner.requestor import Facts

_MOST: Final = 10**9
"""Above any count that can be real: what is beyond it is taken for it."""
_LAST: Final = 2**63 - 1
"""The last number of a sequence in PostgreSQL."""
_LONGEST: Final = 86_400.0
"""Seconds that a report may be said to take, or to wait."""

Count = Annotated[int, msgspec.Meta(ge=0, le=1000)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What bounds and shapes the size. Times in seconds. Raises ValueError."""

    min_workers: Count = 1
    max_workers: Count = 32
    target_wait: Seconds = 20.0
    """In which a backlog is to be drained."""
    scale_down_delay: Seconds = 5.0
    """For how long what was needed is kept."""
    standing: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.7
    """Share of the target for which reports may wait as a rule, while a forecast is trusted.

    Without a line workers are idle now and then. A line of `standing * target_wait` seconds of
    arrivals is worked off by exactly as many workers as the arrivals need.
    """
    hysteresis: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.1
    """Changes by a smaller share of the workers are not made."""
    service_time: Seconds = 5.0
    """What a report takes as long as nobody has measured it."""
    step: Seconds = 1.0
    """Between two samples of the arrivals."""
    lead: Annotated[int, msgspec.Meta(ge=1, le=600)] = 5
    """Steps over which arrivals are foretold, and measured where the forecast is not trusted."""
    window: Annotated[int, msgspec.Meta(ge=2, le=600)] = 60
    """Steps of the double moving average, which needs twice as many."""
    origins: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 120
    """Forecasts that came due, of which the error is made."""

    def __post_init__(self) -> None:
        """Refuse limits that cannot be kept."""
        if self.min_workers > self.max_workers:
            raise ValueError("min_workers is above max_workers")


class Reason(StrEnum):
    """Why the size is what it is."""

    BACKLOG = "backlog"
    """Grown: what waits could not be drained in time."""
    ARRIVALS = "arrivals"
    """Grown: what comes in, as measured, needs more."""
    FORECAST = "forecast"
    """Grown: what will come in needs more."""
    HOLD = "hold"
    """Right as it is, or there was nothing to go by."""
    HYSTERESIS = "hysteresis"
    """Another size would be better by too little."""
    SCALE_DOWN_DELAY = "scale_down_delay"
    """Fewer would do now, but a moment ago they would not have."""
    SHRINK = "shrink"
    """Fewer have been enough for the whole delay."""
    LIMIT = "limit"
    """What is needed is outside the limits."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """How many workers there should be, and all that this was made of. Every number is finite.

    Rates are reports per second, times seconds. `needed` is the size before limits, hysteresis and
    delay: `for_backlog` and `for_arrivals` together, rounded up, but not more than the reports.
    """

    at: float
    workers: int
    before: int
    reason: Reason
    waiting: int
    oldest: float
    running: int
    arrival_rate: float | None
    """Measured over the lead time, after a silence by the age of what waits; None: not known."""
    service_time: float
    service_time_known: bool
    """False: nobody has measured it, and the one of the limits was taken."""
    forecast_rate: float | None
    trusted: bool
    """The forecast was better than a naive one lately, so it was used, not what is measured."""
    mae: float | None
    mase: float | None
    for_backlog: float
    for_arrivals: float
    needed: int


class Sizer:
    """Decides once a second. It remembers arrivals, its forecasts, and what was needed lately."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._arrivals = Arrivals(step=limits.step, keep=2 * limits.window, gap=limits.lead)
        self._forecaster = Forecaster(
            DoubleMovingAverage(limits.window), lead=limits.lead, origins=limits.origins
        )
        self._needed: deque[tuple[float, int]] = deque()

    def step(self, at: float, facts: Facts, service_time: float | None, workers: int) -> Decision:
        """Return how many workers there should be, where there are to be `workers` now.

        `at` is a time in seconds that grows; `service_time` is what reports took lately, in seconds
        of a worker, None if that is not known. What cannot be (a number that is negative, not
        finite or too large) is taken for the nearest that can.
        """
        facts, at = _sane(facts), self._time(at)
        self._look(at, facts)
        forecast = self._forecaster.forecast()
        measured = self._arrivals.rate(self._limits.lead)
        takes = _positive(service_time)
        load = _Load(
            facts=facts,
            rate=(forecast.rate if forecast.trusted else measured) or 0.0,
            service_time=self._limits.service_time if takes is None else takes,
            forecast=forecast,
        )
        needed = load.workers(self._limits)
        size, reason = self._sized(at, load, needed, workers)
        return Decision(
            at=at,
            workers=size,
            before=workers,
            reason=reason,
            waiting=facts.waiting,
            oldest=facts.oldest,
            running=facts.running,
            arrival_rate=measured,
            service_time=load.service_time,
            service_time_known=takes is not None,
            forecast_rate=forecast.rate,
            trusted=forecast.trusted,
            mae=forecast.mae,
            mase=forecast.mase,
            for_backlog=load.for_backlog(self._limits),
            for_arrivals=load.for_arrivals(self._limits),
            needed=needed,
        )

    def _look(self, at: float, facts: Facts) -> None:
        """Take a sample. Where there is none yet, what waits has come since the oldest of it."""
        new = self._arrivals.look(at, facts.requested)
        if new or not self._arrivals.values:
            self._forecaster.sampled(self._arrivals.values, new)
        if not self._arrivals.values and facts.waiting and facts.oldest >= self._limits.step:
            known = min(self._limits.lead, round(facts.oldest / self._limits.step))
            self._arrivals.suppose(facts.waiting / facts.oldest, known)

    def _time(self, at: float) -> float:
        """A time that is none is taken for the last one."""
        last = self._needed[-1][0] if self._needed else 0.0
        return at if math.isfinite(at) else last

    def _sized(self, at: float, load: "_Load", needed: int, workers: int) -> tuple[int, Reason]:
        limits = self._limits
        bounded = max(limits.min_workers, min(needed, limits.max_workers))
        kept = self._remember(at, bounded, workers)
        if not limits.min_workers <= workers <= limits.max_workers:
            return bounded, Reason.LIMIT
        if bounded > workers:
            return self._more(load, needed, bounded, workers)
        if kept < workers:
            return self._fewer(kept, workers)
        if bounded < workers:
            return workers, Reason.SCALE_DOWN_DELAY
        return workers, Reason.HOLD if bounded == needed else Reason.LIMIT

    def _more(self, load: "_Load", needed: int, bounded: int, workers: int) -> tuple[int, Reason]:
        if needed - workers <= self._limits.hysteresis * workers:
            return workers, Reason.HYSTERESIS
        return bounded, load.why_more(workers, self._limits) if bounded == needed else Reason.LIMIT

    def _fewer(self, kept: int, workers: int) -> tuple[int, Reason]:
        if workers - kept <= self._limits.hysteresis * workers:
            return workers, Reason.HYSTERESIS
        return kept, Reason.SHRINK

    def _remember(self, at: float, needed: int, workers: int) -> int:
        """Return the most that was needed within the delay.

        Of a time that nobody looked at, it is known only that there were `workers`.
        """
        recent, delay = self._needed, self._limits.scale_down_delay
        if not recent or not 0 <= at - recent[-1][0] <= delay:
            recent.clear()
            recent.append((at, workers))
        recent.append((at, needed))
        while recent[0][0] < at - delay:
            recent.popleft()
        return max(needed for _, needed in recent)


class _Load(msgspec.Struct, frozen=True):
    """What there is to do, in numbers that can be."""

    facts: Facts
    rate: float
    service_time: float
    forecast: Forecast

    def for_arrivals(self, limits: Limits) -> float:
        """Workers that are busy with what comes in; fewer while a standing line is made use of."""
        standing = limits.standing if self.forecast.trusted else 0.0
        return self.service_time * self.rate * (1 - standing)

    def for_backlog(self, limits: Limits) -> float:
        """Workers that start on all that waits within the target."""
        return self.service_time * self.facts.waiting / limits.target_wait

    def workers(self, limits: Limits) -> int:
        """Return how many are needed: never more than there will be reports to work on."""
        both = _up(self.for_backlog(limits) + self.for_arrivals(limits))
        coming = _up(self.rate * limits.lead * limits.step)
        useful = min(both, self.facts.waiting + self.facts.running + coming)
        return max(useful, min(self.facts.waiting, 1))

    def why_more(self, workers: int, limits: Limits) -> Reason:
        """Return what asks for more than `workers`."""
        if _up(self.for_arrivals(limits)) <= workers:
            return Reason.BACKLOG
        return Reason.FORECAST if self.forecast.trusted else Reason.ARRIVALS


def _up(number: float) -> int:
    """Return the next whole number; what is above one by rounding alone is not above it."""
    return min(_MOST, math.ceil(number - 1e-9))


def _positive(seconds: float | None) -> float | None:
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        return None
    return min(seconds, _LONGEST)


def _sane(facts: Facts) -> Facts:
    oldest = facts.oldest if math.isfinite(facts.oldest) else 0.0
    return Facts(
        waiting=max(0, min(facts.waiting, _MOST)),
        oldest=max(0.0, min(oldest, _LONGEST)),
        running=max(0, min(facts.running, _MOST)),
        requested=max(0, min(facts.requested, _LAST)),
    )
