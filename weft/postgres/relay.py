"""The relay: publishes what the outbox holds, in order, and deletes what is confirmed."""

import asyncio
import contextlib
import time

from weft.errors import Unavailable
from weft.messaging.backoff import Backoff
from weft.postgres import outbox, relay_metrics
from weft.postgres.database import Database
from weft.postgres.dispatch import Dispatched, Publishes, dispatch
from weft.postgres.leases import Lease
from weft.postgres.outbox_rows import OutboxRows
from weft.postgres.wake import Listener, Notifier
from weft.postgres.woken import Woken
from weft.telemetry import get_logger

log = get_logger(__name__)

LEASE = "relay"
POLL = 1.0
BATCH = 500
_MEASURE = 5.0
_LAST_CALL = 2.0


class Relay(Woken):
    """Component: of all instances of a service, the one that holds the lease publishes.

    Woken in this process by a commit, by NOTIFY from another instance, and every second. A message
    that the broker refuses (no queue for a command, a full queue) stays, is tried again with
    growing delay and holds up only what comes after it in its ordering key. While the broker or
    the database is away it backs off with jitter.
    """

    def __init__(self, db: Database, publisher: Publishes, *, name: str = "relay") -> None:
        super().__init__(db, outbox.SIGNAL, name=name)
        self._publisher = publisher
        self._lease = Lease(db, LEASE)
        self._notifier = Notifier(db)
        self._listener = Listener(db, self._wake)
        self._last_call = 0.0

    @property
    def active(self) -> bool:
        """Whether this instance is the one that publishes."""
        return self._lease.held

    async def stop(self) -> None:
        """Publish what is in hand and what is ready (2 s at most); give the lease back."""
        self._last_call = time.monotonic() + _LAST_CALL
        await super().stop()
        await self._notifier.stop()

    def _woken(self) -> None:
        if self._lease.held:
            super()._woken()
        else:
            self._notifier.notify()

    async def _round(self) -> None:
        if await self._lease.acquire():
            await self._lead()
        await self._pause(min(self._lease.remaining + 0.01, POLL / 2))

    async def _lead(self) -> None:
        rows = OutboxRows(self._db, self._lease.name, self._lease.epoch)
        log.info("relay is active", **{"weft.lease.epoch": self._lease.epoch})
        async with self._lease.kept():
            measuring = asyncio.create_task(self._measure(rows))
            try:
                await rows.free()
                await self._publish_while_held(rows)
            finally:
                measuring.cancel()
                await asyncio.gather(measuring, return_exceptions=True)
                relay_metrics.backlog(0, 0.0)
                await self._listener.stop()

    async def _publish_while_held(self, rows: OutboxRows) -> None:
        backoff, told = Backoff(first=0.1, longest=5.0), False
        while self._lease.held:
            found, away = await self._cycle(rows)
            if self._stopping.is_set() and (
                not found or away or time.monotonic() > self._last_call
            ):
                return
            if away is not None:
                if not told:
                    log.warning("relay waits for the broker", **{"weft.why": away.why})
                told = True
                await self._pause(backoff.next())
                continue
            told = False
            backoff.reset()
            if not found:
                await self._idle()

    async def _cycle(self, rows: OutboxRows) -> tuple[bool, Unavailable | None]:
        self._wake.clear()
        ready, held = await rows.fetch(BATCH)
        result = Dispatched()
        if ready:
            result = await dispatch(self._publisher, ready, allowed=lambda: self._lease.held)
            relay_metrics.count(result)
        if (ready or held) and not await rows.settle(result, held):
            await self._lease.renew()
        return bool(ready or held), result.away

    async def _idle(self) -> None:
        with contextlib.suppress(Unavailable):
            await self._listener.ensure()
        await self._sleep(POLL)

    async def _measure(self, rows: OutboxRows) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                relay_metrics.backlog(*await rows.backlog())
                await rows.free()
            await asyncio.sleep(_MEASURE)
