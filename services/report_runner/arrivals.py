"""How fast reports come in: even samples of a counter, and a forecast that knows its own error.

Pure: the caller brings the clock.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from services.report_runner.forecast import Method

ENOUGH: Final = 30
"""Errors that have to be known before a forecast is trusted."""
SURPRISE: Final = 5.0
"""An error that is so many times the mean one shows that the demand has changed."""


class Arrivals:
    """Arrivals per second in each `step` seconds, the last `keep` of them, oldest first.

    The counter is looked at about once a step. A silence of up to `gap` steps is filled with the
    mean rate of its time; after a longer one, all that was known is forgotten. Nothing is made of
    a counter that fell (another database), or of a clock that went back.
    """

    def __init__(self, *, step: float, keep: int, gap: int) -> None:
        self._step = step
        self._keep = keep
        self._gap = gap
        self._last: tuple[float, int] | None = None
        self._values: deque[float] = deque(maxlen=keep)

    @property
    def values(self) -> Sequence[float]:
        """All samples."""
        return list(self._values)

    def look(self, at: float, counter: int) -> int:
        """Note the counter; return how many samples that made: 0 if it is too early for one."""
        if self._last is None:
            self._last = (at, counter)
            return 0
        elapsed, more = at - self._last[0], counter - self._last[1]
        if elapsed < 0 or more < 0:
            self._last = (at, counter)
            return 0
        if elapsed / self._step > self._gap:
            self._last = (at, counter)
            self._values.clear()
            return 0
        steps = round(elapsed / self._step)
        if steps:
            self._last = (at, counter)
            self._values.extend([more / elapsed] * steps)
        return steps

    def suppose(self, rate: float, steps: int) -> None:
        """Take it that this was the rate in so many steps before the first look."""
        self._values.extend([rate] * steps)

    def rate(self, over: int) -> float | None:
        """Return the mean of the last `over` samples, or of as many as there are."""
        last = self.values[-over:]
        return sum(last) / len(last) if last else None


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What is foretold, per second, and how wrong that was lately; None: not known yet.

    `mae` is the mean absolute error of the last forecasts that came due, `mase` the same over that
    of the naive forecast from the same origins. It is trusted while that is below 1 and
    the newest error is no surprise.
    """

    rate: float | None = None
    mae: float | None = None
    mase: float | None = None
    trusted: bool = False


class Forecaster:
    """Foretells the mean rate of the next `lead` samples, and scores itself when they are there.

    Rolling origins: every sample is one. The naive forecast says that the next `lead` samples will
    be as the last `lead` were. `origins` is how many errors are remembered.
    """

    def __init__(self, method: Method, *, lead: int, origins: int) -> None:
        self._method = method
        self._lead = lead
        self._due: deque[tuple[float, float] | None] = deque(maxlen=lead)
        self._errors: deque[tuple[float, float]] = deque(maxlen=origins)
        self._told: float | None = None
        self._missed = 0.0

    def sampled(self, values: Sequence[float], new: int) -> None:
        """Take the samples, of which the last `new` are new. More than one is a gap: no origin."""
        if new != 1:
            self._due.clear()
        self._told = None
        if len(values) < self._lead:
            return
        actual = sum(values[-self._lead :]) / self._lead
        if len(self._due) == self._lead and (due := self._due[0]):
            self._missed = abs(due[0] - actual)
            self._errors.append((self._missed, abs(due[1] - actual)))
        told = self._method.forecast(values, (self._lead + 1) / 2)
        if told is not None:
            self._told = max(0.0, told)
        self._due.append(None if self._told is None else (self._told, actual))

    def forecast(self) -> Forecast:
        """Return the forecast from the last sample on."""
        if not self._errors:
            return Forecast(rate=self._told)
        ours, naive = (
            sum(errors) / len(self._errors) for errors in zip(*self._errors, strict=True)
        )
        mase = ours / naive if naive else None
        known = self._told is not None and len(self._errors) >= ENOUGH
        better = mase is not None and mase < 1 and self._missed <= SURPRISE * ours
        return Forecast(rate=self._told, mae=ours, mase=mase, trusted=known and better)
