"""Forecasts of a series of values at even distances: moving averages and exponential smoothing.

All methods are pure and have one interface. A series is given oldest first; `ahead` is in steps of
the series, and may be a fraction. None: the series is too short to tell.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Protocol

import msgspec

Share = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
"""What the newest value weighs in exponential smoothing."""


class Method(Protocol):
    """Foretells a series."""

    def forecast(self, values: Sequence[float], ahead: float) -> float | None:
        """Return what the series will be `ahead` steps after its last value."""


class MovingAverage(msgspec.Struct, frozen=True):
    """The mean of the last `window` values: no trend, so the same for any `ahead`."""

    window: int

    def forecast(self, values: Sequence[float], ahead: float) -> float | None:
        """Return the forecast."""
        del ahead
        means = moving_averages(values, self.window)
        return means[-1] if means else None


class DoubleMovingAverage(msgspec.Struct, frozen=True):
    """A line through the moving average M' and its own moving average M''.

    level = 2 M' - M'', slope = 2 / (n - 1) (M' - M''), forecast = level + slope * ahead. Needs
    2 n - 1 values, and n of at least 2.
    """

    window: int

    def forecast(self, values: Sequence[float], ahead: float) -> float | None:
        """Return the forecast."""
        needed = values[-(2 * self.window - 1) :]
        first = moving_averages(needed, self.window)
        second = moving_averages(first, self.window)
        if not second:
            return None
        level = 2 * first[-1] - second[-1]
        slope = 2 / (self.window - 1) * (first[-1] - second[-1])
        return level + slope * ahead


class Smoothing(msgspec.Struct, frozen=True):
    """Single exponential smoothing: S = alpha x + (1 - alpha) S, from the first value on."""

    alpha: Share

    def forecast(self, values: Sequence[float], ahead: float) -> float | None:
        """Return the forecast: no trend, so the same for any `ahead`."""
        del ahead
        return smoothed(values, self.alpha)[-1] if values else None


class DoubleSmoothing(msgspec.Struct, frozen=True):
    """Brown's double exponential smoothing: S' smooths the series, S'' smooths S'.

    level = 2 S' - S'', slope = alpha / (1 - alpha) (S' - S''). Needs two values.
    """

    alpha: Share

    def forecast(self, values: Sequence[float], ahead: float) -> float | None:
        """Return the forecast."""
        if len(values) < 2:  # noqa: PLR2004 - a line has two points
            return None
        first = smoothed(values, self.alpha)
        second = smoothed(first, self.alpha)
        level = 2 * first[-1] - second[-1]
        slope = self.alpha / (1 - self.alpha) * (first[-1] - second[-1])
        return level + slope * ahead


def moving_averages(values: Sequence[float], window: int) -> list[float]:
    """Return the mean of each `window` values in a row: len(values) - window + 1 of them."""
    return [sum(values[at - window : at]) / window for at in range(window, len(values) + 1)]


def smoothed(values: Sequence[float], alpha: float) -> list[float]:
    """Return the series, exponentially smoothed."""
    return list(accumulate(values, lambda s, x: alpha * x + (1 - alpha) * s))
