"""What works in the background on rows, woken when there are some: the life that all such share."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from contextvars import Context

from weft.errors import Unavailable
from weft.messaging.backoff import Backoff
from weft.postgres.database import Database
from weft.telemetry import get_logger

log = get_logger(__name__)


class Woken(ABC):
    """Component: a task that works in rounds until it is stopped, and then ends its last one.

    A round that fails is followed by the next after a growing pause of at most `longest` seconds.
    `signal` of the database wakes `_sleep`.
    """

    def __init__(self, db: Database, signal: str, *, name: str, longest: float = 2.0) -> None:
        self.name = name
        self._db = db
        self._signal = signal
        self._longest = longest
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin in the background."""
        self._stopping.clear()
        self._db.signals.connect(self._signal, self._woken)
        self._task = asyncio.create_task(self._run(), name=self.name, context=Context())

    async def check(self) -> None:
        """Raise Unavailable if the task has ended. The database has a check of its own."""
        if self._task is None or self._task.done():
            raise Unavailable(self.name, "it does not run")

    async def stop(self) -> None:
        """Finish the round in hand."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping.set()
        self._wake.set()
        try:
            await task
        finally:
            self._db.signals.disconnect(self._signal, self._woken)

    @abstractmethod
    async def _round(self) -> None:
        """Do what there is to do, then wait for more by `_sleep`."""

    def _woken(self) -> None:
        self._wake.set()

    async def _run(self) -> None:
        backoff, told = Backoff(first=0.1, longest=self._longest), False
        facts = {"weft.component": self.name}
        while not self._stopping.is_set():
            try:
                await self._round()
                told = False
                backoff.reset()
            except Unavailable as error:
                if not told:
                    log.warning("waiting for the database", **facts, **{"weft.why": error.why})
                told = True
                await self._pause(backoff.next())
            except Exception as error:
                log.exception("a round failed, trying again", error, **facts)
                await self._pause(backoff.next())

    async def _sleep(self, seconds: float) -> None:
        """Wait until woken, so long at most."""
        await _until(self._wake, seconds)

    async def _pause(self, seconds: float) -> None:
        """Wait so long, but not into the end of the process."""
        await _until(self._stopping, seconds)


async def _until(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
