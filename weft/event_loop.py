"""How the event loop is: how late it runs what is due, what held it up, how many tasks it has."""

import asyncio
from typing import Final

from weft.telemetry import counter, gauge

PERIOD: Final = 0.2
"""Seconds between two looks: each wakes the process, which is all that they cost."""
SLOW: Final = 0.1
"""Seconds of delay from which something has held the loop up."""
_TASKS_EVERY: Final = 25
"""Looks between two counts of tasks: a count takes about a microsecond a task."""


class EventLoop:
    """Component. Looks at the loop five times a second, by a timer that says when it was due.

    What holds the loop for `PERIOD` and `SLOW` together or longer is always counted, shorter ones
    as often as a look falls into them. Asyncio's own debug mode would see each, and time all.
    """

    name = "event loop"

    def __init__(self) -> None:
        self._worst = 0.0
        self._tasks = 0
        self._looks = 0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to look."""
        gauge(
            "weft.event_loop.lag",
            "s",
            "Worst delay of a due callback since the last export.",
            self._take,
        )
        gauge("weft.event_loop.tasks", "{task}", "Tasks that have not ended.", lambda: self._tasks)
        self._slow = counter(
            "weft.event_loop.slow_callbacks", "{callback}", "Delays of 0.1 s and more."
        )
        self._slow.add(0)  # the series begins before the first one: its rate is right
        self._next(asyncio.get_running_loop())

    async def check(self) -> None:
        """Raise if nobody looks."""
        if self._timer is None:
            raise RuntimeError("nobody looks at the event loop")

    async def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + PERIOD
        self._timer = loop.call_at(self._due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        late = loop.time() - self._due
        self._worst = max(self._worst, late)
        if late >= SLOW:
            self._slow.add(1)
        if self._looks % _TASKS_EVERY == 0:
            self._tasks = len(asyncio.all_tasks(loop))
        self._looks += 1
        self._next(loop)

    def _take(self) -> float:
        worst, self._worst = self._worst, 0.0
        return worst
