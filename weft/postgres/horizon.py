"""The horizon: below it every transaction has ended."""

import time


class Horizon:
    """How long the oldest running transaction has held the horizon, as seen by one observer."""

    def __init__(self) -> None:
        self._xmin = -1
        self._since = 0.0

    def age(self, xmin: int, xmax: int) -> float:
        """Return seconds since the horizon last moved; 0 if nothing holds it (`xmin` is `xmax`)."""
        now = time.monotonic()
        if xmin != self._xmin or xmin >= xmax:
            self._xmin, self._since = xmin, now
        return now - self._since
