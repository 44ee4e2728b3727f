"""Token buckets: pure arithmetic, the clock is the caller's."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class Bucket:
    """Fills at `rate` tokens a second up to `burst`. Times are seconds of any one clock."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, *, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> float:
        """Take a token and return 0.0, or return the seconds until there is one."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate


class Lease:
    """Tokens that this process took out of the shared bucket and has not spent yet."""

    __slots__ = ("expires_at", "refused_until", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self.expires_at = 0.0
        self.refused_until = 0.0

    def spend(self, now: float) -> bool:
        """Spend a token, if there is one that is still good."""
        if self.tokens <= 0 or now >= self.expires_at:
            return False
        self.tokens -= 1
        return True


class Bounded(Generic[V]):
    """At most `size` values by key; the one that was used longest ago makes room."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[str, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str, make: Callable[[], V]) -> V:
        """Return the value of `key`, made now if there is none."""
        value = self._values.get(key)
        if value is None:
            value = self._values[key] = make()
            if len(self._values) > self._size:
                self._values.popitem(last=False)
        else:
            self._values.move_to_end(key)
        return value
