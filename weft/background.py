"""Work beside requests and messages."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from weft.telemetry import get_logger

PAUSE_MAX = 30.0

log = get_logger(__name__)


class Background:
    """A component that keeps one coroutine running; `work` is cancelled at the end."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self.name = name
        self._work = work
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin the work."""
        self._task = asyncio.create_task(self._keep_running(), name=self.name)

    async def check(self) -> None:
        """Raise if the work is not being done."""
        if self._task is None or self._task.done():
            raise RuntimeError(f"{self.name} does not run")

    async def stop(self) -> None:
        """Cancel the work and wait for it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _keep_running(self) -> None:
        pause = 0.5
        while True:
            try:
                await self._work()
            except Exception as error:
                log.exception("background work failed", error, **{"weft.component": self.name})
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, PAUSE_MAX)
            else:
                return
