"""A circuit breaker: leaves a peer alone that fails, and tries it again with one request."""

import random
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

import msgspec

State = Literal["closed", "open", "half-open"]


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a circuit opens: `failure_ratio` of at least `minimum` requests in `window` seconds.

    It stays open for about `open_for` seconds (up to a fifth more, so that not all callers come
    back at once), then lets one request through, whose outcome decides.
    """

    failure_ratio: float = 0.5
    minimum: int = 20
    window: float = 10.0
    open_for: float = 5.0


class CircuitBreaker:
    """Counts outcomes. `changed` hears of every new state."""

    def __init__(
        self,
        policy: BreakerPolicy,
        changed: Callable[[State], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state: State = "closed"
        self._policy = policy
        self._changed = changed
        self._clock = clock
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=1000)
        self._failures = 0
        self._generation = 0
        self._open_until = 0.0
        self._probing = False

    def permit(self) -> int | None:
        """Return a permit for one request, None while the peer is left alone.

        Every permit is given back by `settle` or `abandon`.
        """
        if self.state == "open" and self._clock() >= self._open_until:
            self._become("half-open")
        if self.state == "closed":
            return self._generation
        if self.state == "half-open" and not self._probing:
            self._probing = True
            return self._generation
        return None

    def settle(self, permit: int, *, ok: bool) -> None:
        """Count an outcome; one of an earlier state counts for nothing."""
        if permit != self._generation:
            return
        if self.state == "half-open":
            self._become("closed" if ok else "open")
        elif self.state == "closed":
            self._count(ok=ok)

    def abandon(self, permit: int) -> None:
        """Give a permit back without an outcome: the caller went away."""
        if permit == self._generation:
            self._probing = False

    def _count(self, *, ok: bool) -> None:
        now = self._clock()
        if len(self._outcomes) == self._outcomes.maxlen:
            self._forget()
        self._outcomes.append((now, ok))
        self._failures += not ok
        while self._outcomes[0][0] < now - self._policy.window:
            self._forget()
        total = len(self._outcomes)
        enough = total >= self._policy.minimum
        # A success never opens it: what failed before may be a start that is over.
        if not ok and enough and self._failures >= total * self._policy.failure_ratio:
            self._become("open")

    def _forget(self) -> None:
        _, ok = self._outcomes.popleft()
        self._failures -= not ok

    def _become(self, state: State) -> None:
        self.state = state
        self._generation += 1
        self._probing = False
        self._outcomes.clear()
        self._failures = 0
        if state == "open":
            spread = random.uniform(1.0, 1.2)
            self._open_until = self._clock() + self._policy.open_for * spread
        self._changed(state)
