"""Retries that cannot become a storm: a budget, and pauses with full jitter."""

import random
import time
from collections.abc import Callable

BASE_PAUSE = 0.05
MAX_PAUSE = 1.0
"""Seconds."""


class RetryBudget:
    """A token bucket: each request brings `ratio` of a retry, each second `floor` of one.

    So in the long run retries are 10 % of the requests, and a caller with few requests still has
    some. At most `capacity` retries are saved up.
    """

    def __init__(
        self,
        *,
        ratio: float = 0.1,
        floor: float = 1.0,
        capacity: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio = ratio
        self._floor = floor
        self._capacity = capacity
        self._clock = clock
        self._tokens = capacity
        self._filled_at = clock()

    def deposit(self) -> None:
        """Count a request."""
        self._add(self._ratio)

    def withdraw(self) -> bool:
        """Take one retry; False if there is none."""
        now = self._clock()
        self._add((now - self._filled_at) * self._floor)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _add(self, tokens: float) -> None:
        self._tokens = min(self._capacity, self._tokens + tokens)


def pause_before(retry: int) -> float:
    """Return the seconds to wait before the retry of this number (from 1)."""
    return random.uniform(0.0, min(MAX_PAUSE, BASE_PAUSE * 2**retry))
