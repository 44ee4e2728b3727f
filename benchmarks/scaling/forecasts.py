"""The methods of services/report_runner/forecast.py on the days of demand, from every second on."""

import random
from collections.abc import Sequence
from statistics import median
from typing import Final

import msgspec

from benchmarks.scaling.demand import SHAPES, drawn
from services.report_runner.arrivals import Forecaster
from services.report_runner.forecast import (
    DoubleMovingAverage,
    DoubleSmoothing,
    Method,
    MovingAverage,
    Smoothing,
)

SHORT: Final = 15
LONG: Final = 60
"""The window of the service."""
SEEN: Final = 2 * LONG
"""Seconds before an origin that a method may look at, as in the service."""
LEADS: Final = (5, 30)
TIMES: Final = (1, 25)
"""How many times the demand of the other benchmarks: the busier, the less chance is in a second."""


class Score(msgspec.Struct):
    """How wrong a method was, in reports a second, and beside the naive forecast."""

    method: str
    shape: str
    lead: int
    times: int
    mae: float
    mase: float


def methods() -> dict[str, Method]:
    """Return who is compared. Smoothing has the alpha whose values are as old as a window's."""
    found: dict[str, Method] = {}
    for window in (SHORT, LONG):
        alpha = 2 / (window + 1)
        found |= {
            f"moving average, {window} s": MovingAverage(window),
            f"double moving average, {window} s": DoubleMovingAverage(window),
            f"single smoothing, {alpha:.3f}": Smoothing(alpha),
            f"double smoothing, {alpha:.3f}": DoubleSmoothing(alpha),
        }
    return found


def compared(length: float, seeds: Sequence[int]) -> list[Score]:
    """Let every method foretell the same days; the median of them."""
    return [
        _score(name, method, (shape, lead, times), series)
        for times in TIMES
        for shape in SHAPES
        for series in [[samples(shape, length, seed, times) for seed in seeds]]
        for lead in LEADS
        for name, method in methods().items()
    ]


def samples(shape: str, length: float, seed: int, times: int) -> list[float]:
    """Return how many reports came in each second of the day, from so many shops with the same."""
    source = random.Random(f"{shape} {seed}")
    rate = SHAPES[shape](source)
    counts = [0.0] * round(length)
    for _ in range(times):
        for at in drawn(shape, length, rate, source).arrivals:
            counts[int(at)] += 1
    return counts


def _score(
    name: str, method: Method, where: tuple[str, int, int], series: Sequence[list[float]]
) -> Score:
    shape, lead, times = where
    maes, mases = [], []
    for values in series:
        forecaster = Forecaster(method, lead=lead, origins=len(values))
        for end in range(SEEN, len(values) + 1):
            forecaster.sampled(values[end - SEEN : end], 1)
        forecast = forecaster.forecast()
        maes.append(forecast.mae or 0.0)
        mases.append(forecast.mase or 0.0)
    return Score(name, shape, lead, times, round(median(maes), 3), round(median(mases), 3))
