"""One day of demand in three shapes: when reports are asked for, and how long each takes."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

PEAK: Final = 4.0
"""Reports a second where a day has the most of them."""
BASE: Final = 0.2
"""And where it has the fewest."""
SERVICE_TIME: Final = 5.0
"""Seconds that a report takes, in the mean."""
SPREAD: Final = 0.8
"""Its standard deviation over its mean; it is log-normal."""
BURSTS: Final = 8
BURST_SHARE: Final = 1 / 40
"""Of the day that each burst takes: 36 minutes of 24 hours."""
RISE: Final = 0.8
"""Of the day in which the ramp rises; then it is over at once."""

Rate = Callable[[float], float]
"""Reports a second at a moment of the day, which goes from 0 to 1."""


@dataclass(frozen=True)
class Demand:
    """Moments of arrival in seconds, growing, and what each report takes."""

    shape: str
    length: float
    arrivals: list[float]
    services: list[float]
    rate: Rate

    @property
    def work(self) -> float:
        """Hours of a worker that all the reports take: nobody can do with fewer."""
        return sum(self.services) / 3600


def wave(_: random.Random) -> Rate:
    """Return a night, a morning, noon, an evening."""
    return lambda day: BASE + (PEAK - BASE) * ((1 - math.cos(2 * math.pi * day)) / 2) ** 2


def burst(source: random.Random) -> Rate:
    """Return a still day with bursts that come at once, anywhere in an eighth of the day each."""
    begins = [(n + source.random() * (1 - BURSTS * BURST_SHARE)) / BURSTS for n in range(BURSTS)]
    return lambda day: PEAK if any(0 <= day - one < BURST_SHARE for one in begins) else BASE


def ramp(_: random.Random) -> Rate:
    """Return a straight rise to the peak, and then its sudden end."""
    return lambda day: BASE + (PEAK - BASE) * day / RISE if day < RISE else BASE


SHAPES: Final[dict[str, Callable[[random.Random], Rate]]] = {
    "wave": wave,
    "burst": burst,
    "ramp": ramp,
}


def day(shape: str, length: float, seed: int) -> Demand:
    """Return a day of `length` seconds: a Poisson process with the rate of the shape."""
    source = random.Random(f"{shape} {length} {seed}")
    rate = SHAPES[shape](source)
    return drawn(shape, length, rate, source)


def step(rate: float, *, before: float, after: float, base: float, seed: int) -> Demand:
    """Return `base` reports a second for `before` seconds, and then `rate` for `after`."""
    length = before + after
    source = random.Random(f"step {seed}")
    at = before / length
    return drawn("step", length, partial(_stepped, at, base, rate), source)


def drawn(shape: str, length: float, rate: Rate, source: random.Random) -> Demand:
    """Draw arrivals by thinning, and what they take."""
    arrivals, at = [], 0.0
    while (at := at + source.expovariate(PEAK)) < length:
        if source.random() * PEAK < rate(at / length):
            arrivals.append(at)
    sigma = math.sqrt(math.log(1 + SPREAD**2))
    mu = math.log(SERVICE_TIME) - sigma**2 / 2
    services = [source.lognormvariate(mu, sigma) for _ in arrivals]
    return Demand(shape, length, arrivals, services, rate)


def _stepped(at: float, base: float, rate: float, day: float) -> float:
    return rate if day >= at else base
