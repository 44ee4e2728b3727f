"""Who decides how many workers there are: a fixed number, KEDA with its HPA, or our sizer."""

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import Final

from benchmarks.scaling.simulation import Line
from services.report_runner.requestor import Facts
from services.report_runner.scaling import Limits, Sizer

MOST: Final = 64
"""Workers at most, for everybody."""


class Static:
    """Always the same number."""

    lag = 0.0

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.when = 0.0

    def look(self, line: Line) -> int:
        """Return the number."""
        self.when = line.now + 60
        return self.workers


@dataclass(frozen=True)
class Tuning:
    """How KEDA is set up: what one worker is to have, and what is counted."""

    target: int
    poll: float
    """Seconds between KEDA's own looks, which take 0 to 1 and 1 to 0."""
    in_hand: bool = False
    """Whether reports that a worker has in hand count as well: unacknowledged messages."""


class Keda:
    """KEDA 2 with the HorizontalPodAutoscaler of Kubernetes, all else as they come.

    KEDA takes 0 to 1 when it looks, and 1 to 0 after 300 s without anything. Between, the HPA looks
    every 15 s: ceil(queue / target), not within a tenth; up by 4 or to twice as many at most, down
    to the most that it recommended within 300 s. A pod is there at once; an idle one goes first.
    """

    lag = 0.0
    workers = 0
    sync: Final = 15.0
    window: Final = 300.0
    cooldown: Final = 300.0
    tolerance: Final = 0.1

    def __init__(self, tuning: Tuning, source: random.Random) -> None:
        self._tuning = tuning
        self._poll_at = source.random() * tuning.poll
        self._sync_at = source.random() * self.sync
        self._active_at = -math.inf
        self._recommended: deque[tuple[float, int]] = deque()
        self.when = min(self._poll_at, self._sync_at)

    def look(self, line: Line) -> int:
        """Do what is due: KEDA's look or the HPA's."""
        queue = line.waiting + (line.running if self._tuning.in_hand else 0)
        if line.now >= self._poll_at:
            self._poll_at += self._tuning.poll
            size = self._polled(line.now, queue, line.workers)
        else:
            self._sync_at += self.sync
            size = self._synced(line.now, queue, line.workers) if line.workers else 0
        self.when = min(self._poll_at, self._sync_at)
        return size

    def _polled(self, now: float, queue: int, workers: int) -> int:
        if queue:
            self._active_at = now
            return max(1, workers)
        return 0 if now - self._active_at > self.cooldown else workers

    def _synced(self, now: float, queue: int, workers: int) -> int:
        near = abs(1 - queue / (self._tuning.target * workers)) <= self.tolerance
        wanted = workers if near else math.ceil(queue / self._tuning.target)
        wanted = max(1, min(wanted, MOST))
        self._recommended.append((now, wanted))
        while (
            self._recommended[0][0] < now - self.window + 1
        ):  # looks are 15 s apart or a little more
            self._recommended.popleft()
        if wanted > workers:
            return min(wanted, max(workers + 4, 2 * workers))
        return min(workers, max(size for _, size in self._recommended))


class Ours:
    """The sizer of report_runner, as its loop calls it: once a second.

    What it says counts while it is awake: from `wake` seconds after something waits until nothing
    does and the least of workers is left. Instances look at the number twice a second.
    """

    lag = 0.5
    wake: Final = 3.0

    def __init__(self, limits: Limits, source: random.Random) -> None:
        self._sizer = Sizer(limits)
        self._least = limits.min_workers
        self._waits_since: float | None = None
        self._awake = False
        self.workers = limits.min_workers
        self.when = source.random()

    def look(self, line: Line) -> int:
        """Decide."""
        self.when = line.now + 1.0
        facts = Facts(
            waiting=line.waiting,
            oldest=line.oldest,
            running=line.running,
            requested=line.arrived,
        )
        mean = sum(line.recent) / len(line.recent)
        size = self._sizer.step(line.now, facts, mean, line.workers).workers
        if not self._awake:
            self._awake = self._woken(line)
        elif not line.waiting and size <= self._least:
            self._awake = False
            return size
        return size if self._awake else line.workers

    def _woken(self, line: Line) -> bool:
        if not line.waiting:
            self._waits_since = None
        elif self._waits_since is None:
            self._waits_since = line.now
        return self._waits_since is not None and line.now - self._waits_since >= self.wake
