"""How long to wait before the next try."""

import random


class Backoff:
    """Exponential back-off with full jitter: each wait is random between 0 and a growing bound.

    `first` and `longest` are in seconds. See "Exponential Backoff and Jitter", AWS, 2015.
    """

    def __init__(self, first: float = 0.1, longest: float = 5.0) -> None:
        self._first = first
        self._longest = longest
        self._bound = first

    def next(self) -> float:
        """Return the seconds to wait now; the bound doubles for the next time."""
        wait = random.uniform(0, self._bound)
        self._bound = min(self._bound * 2, self._longest)
        return wait

    def reset(self) -> None:
        """Begin again at the first bound."""
        self._bound = self._first
