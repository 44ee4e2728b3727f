"""Delivers what is in the inbox: each channel for itself, again and again within a budget."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Final

from services.notifier import store
from services.notifier.channels import Channel, Undelivered
from services.notifier.inbox import Inbox
from services.notifier.store import Delivery
from weft.errors import Unavailable
from weft.postgres import Database
from weft.telemetry import attach, counter, detach, get_logger, record

SCAN: Final = 1.0
"""Seconds between two looks for what is due, unless there is news."""
LEASE: Final = 90.0
"""Seconds after which another instance delivers what this one has claimed."""
AT_ONCE: Final = 8
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 120.0
BUDGET: Final = 3600.0
"""Seconds after which a message that no attempt delivered is given up; it stays in the inbox."""

log = get_logger(__name__)
_deliveries = counter(
    "weft.notifier.deliveries", "{delivery}", "Attempts of a channel to deliver, by outcome."
)


class Deliveries:
    """Component: a task for each channel, so that a slow one holds up no other."""

    name = "deliveries"

    def __init__(self, db: Database, inbox: Inbox, channels: Sequence[Channel]) -> None:
        self._db = db
        self._inbox = inbox
        self._channels = channels
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to deliver."""
        for channel in self._channels:
            for outcome in ("sent", "retried", "failed"):
                _deliveries.add(0, {"channel": channel.name, "outcome": outcome})
            self._tasks.append(asyncio.create_task(self._run(channel), name=channel.name))

    async def check(self) -> None:
        """Raise Unavailable if a channel is not served any more."""
        if any(task.done() for task in self._tasks):
            raise Unavailable(self.name, "not running")

    async def stop(self) -> None:
        """Deliver nothing more; what was not delivered is after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self._channels:
            await channel.close()

    async def _run(self, channel: Channel) -> None:
        while True:
            found: list[Delivery] = []
            with contextlib.suppress(Unavailable):
                found = await store.claim(self._db, channel.name, limit=AT_ONCE, lease=LEASE)
                for delivery in found:
                    await self._deliver(channel, delivery)
                if not found:
                    await self._inbox.count_held(channel)
            if not found:
                await self._news()

    async def _news(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SCAN * random.uniform(0.8, 1)):
                await self._inbox.filled.wait()
        self._inbox.filled.clear()

    async def _deliver(self, channel: Channel, delivery: Delivery) -> None:
        token = attach(delivery.carrier)
        try:
            error = await self._attempt(channel, delivery)
        finally:
            detach(token)
        if error is None:
            await self._settle(delivery, "sent")
        elif delivery.age > BUDGET:
            await self._settle(delivery, "failed", error)
        else:
            await self._settle(delivery, "waiting", error, pause(delivery.attempts))

    async def _attempt(self, channel: Channel, delivery: Delivery) -> str | None:
        """Return None if the channel took it, else why not."""
        facts = {"weft.notifier.channel": channel.name}
        with record.internal("deliver") as call:
            call.set("weft.notifier.channel", channel.name)
            try:
                await channel.send(delivery.notice)
            except Undelivered as error:
                call.set("weft.why", str(error))
                log.warning("message was not taken", **facts, **{"weft.why": str(error)})
                return str(error)
            except Exception as error:  # noqa: BLE001 - a message must not stop the others
                # Its text may hold anything: an address, a password.
                log.error("channel failed", **facts, **{"weft.why": type(error).__name__})  # noqa: TRY400
                return type(error).__name__
        return None

    async def _settle(
        self, delivery: Delivery, state: str, error: str | None = None, due_in: float = 0.0
    ) -> None:
        await store.settle(self._db, delivery, state=state, error=error, due_in=due_in)
        outcome = "retried" if state == "waiting" else state
        _deliveries.add(1, {"channel": delivery.channel, "outcome": outcome})


def pause(attempts: int) -> float:
    """Return the seconds to wait after the `attempts`th try: doubled each time, with jitter."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 16)) * random.uniform(0.5, 1)
