"""The workers of this instance: as many as its share of those that there should be in all."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Final

from services.report_runner import store
from services.report_runner.domain import share
from services.report_runner.requestor import Claim
from weft.errors import Unavailable
from weft.ids import uuid7
from weft.postgres import Database
from weft.telemetry import attach, current_carrier, detach, gauge, get_logger

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at the row and at who else is there."""

log = get_logger(__name__)
Run = Callable[[Claim], Awaitable[None]]


class Workers:
    """Component: runs each claim that it is given in a task of its own, `capacity` at most.

    `changed` is called with whether one is free, whenever that changes.
    """

    name = "workers"

    def __init__(self, db: Database, run: Run, *, drain: float) -> None:
        self._db = db
        self._run = run
        self._drain = drain
        self._holder = uuid7()
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._listener: Callable[[bool], None] = lambda _: None
        self.capacity = 0
        self.desired = 0

    def listen(self, changed: Callable[[bool], None]) -> None:
        """Call `changed` from now on, and at once."""
        self._listener = changed
        changed(self.free > 0)

    @property
    def free(self) -> int:
        """How many workers have nothing to do."""
        return max(0, self.capacity - len(self._tasks))

    def give(self, claim: Claim) -> None:
        """Let a free worker run `claim`, in the trace that is current now."""
        carrier = current_carrier()
        task = asyncio.create_task(self._worked(claim, carrier), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        self._listener(self.free > 0)

    async def start(self) -> None:
        """Begin with the share that falls to this instance."""
        gauge("weft.report.workers", "{worker}", "Workers for reports.", lambda: self.capacity)
        gauge(
            "weft.report.workers.busy",
            "{worker}",
            "Workers with a report in hand.",
            lambda: len(self._tasks),
        )
        gauge(
            "weft.report.workers.desired",
            "{worker}",
            "Workers that there should be, of all instances.",
            lambda: self.desired,
        )
        await self._look()
        self._looking = asyncio.create_task(self._keep_looking(), name=self.name)

    async def check(self) -> None:
        """Raise Unavailable if nobody looks at the row any more."""
        if self._looking is None or self._looking.done():
            raise Unavailable(self.name, "they are not looked after")

    async def stop(self) -> None:
        """Take nothing new, let others have our share, and give back what is not done in time."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        self._resize(0)
        with contextlib.suppress(Unavailable):
            await store.leave(self._db, self._holder)
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=self._drain)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            with contextlib.suppress(Unavailable):
                await self._look()

    async def _look(self) -> None:
        seen = await store.look(self._db, self._holder)
        self.desired = seen.desired
        self._resize(share(seen.desired, instances=seen.instances, rank=seen.rank))

    def _resize(self, capacity: int) -> None:
        """One report too many is finished all the same."""
        if capacity == self.capacity:
            return
        log.info("workers changed", **{"weft.report.capacity": capacity})
        self.capacity = capacity
        self._listener(self.free > 0)

    async def _worked(self, claim: Claim, carrier: dict[str, str]) -> None:
        token = attach(carrier)
        try:
            await self._run(claim)
        finally:
            detach(token)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._listener(self.free > 0)
