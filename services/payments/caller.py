"""Makes the open calls of the card provider, until each has an answer."""

import asyncio
import contextlib
import random
from typing import Final, Protocol

from services.payments import store
from services.payments.messages import OPENED, Book
from services.payments.provider import Answer
from services.payments.store import OpenCall
from weft.errors import Unavailable
from weft.postgres import Database, retry_on_conflict
from weft.telemetry import attach, detach, get_logger

FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 10.0
"""Seconds between two calls for the same payment, at first and at most."""
LONGEST_INQUIRY_PAUSE: Final = 60.0
"""Seconds between two inquiries at most."""
CONCURRENCY: Final = 128
"""Calls in hand at most, in one process."""
RECORDING: Final = 3
"""Answers that are being recorded at most: the others wait without a connection of the pool."""
SCAN: Final = 1.0
"""Seconds at most between two looks for calls that other instances left."""
PACE: Final = 0.01
"""Seconds at least between two looks, so that one statement claims many under load."""
SPARE: Final = 5.0
"""Seconds that a claim outlives the call's deadline."""

log = get_logger(__name__)


class Performs(Protocol):
    """Makes one call."""

    async def perform(self, call: OpenCall) -> Answer:
        """Return the provider's answer; raise Unavailable if there is none."""


class Caller:
    """Component. Claims due calls, at most `concurrency` at a time, and records their answers.

    `call_timeout` (seconds) is what a call may take at most; a claim lapses a little later, so
    that the calls of an instance that died are made by another. `instance` names this slot: a new
    process in it takes up at once what the last one left. Repeated calls may take half of the
    room, so that cards which never answer leave some to the others.

    A pending authorisation is asked for after `pending_pause` seconds, then ever more rarely, since
    the webhook mostly comes before. After `pending_budget` seconds it is no longer asked for: the
    webhook, or orders by a void, ends it.
    """

    def __init__(
        self,
        db: Database,
        book: Book,
        provider: Performs,
        *,
        instance: str,
        call_timeout: float,
        pending_pause: float,
        pending_budget: float,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self.name = "provider calls"
        self._db = db
        self._book = book
        self._provider = provider
        self._instance = instance
        self._lease = call_timeout + SPARE
        self._pending_pause = pending_pause
        self._pending_budget = pending_budget
        self._concurrency = concurrency
        self._recording = asyncio.Semaphore(RECORDING)
        self._awake = asyncio.Event()
        self._full = False
        self._in_hand: dict[asyncio.Task[None], OpenCall] = {}
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to make calls."""
        self._db.signals.connect(OPENED, self._awake.set)
        self._loop = asyncio.create_task(self._run(), name=self.name)

    async def check(self) -> None:
        """Raise Unavailable if no calls are made."""
        if self._loop is None or self._loop.done():
            raise Unavailable(self.name, "not running")

    async def stop(self) -> None:
        """Claim nothing more and wait for the calls in hand."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        try:
            await asyncio.gather(*self._in_hand, return_exceptions=True)
        finally:
            for task in self._in_hand:
                task.cancel()

    async def _run(self) -> None:
        taken_up = False
        while True:
            self._awake.clear()
            seconds = SCAN * random.uniform(0.5, 1)
            try:
                if not taken_up:
                    await store.unclaim(self._db, instance=self._instance)
                    taken_up = True
                seconds = await self._claim()
            except Unavailable:
                log.debug("database is away, claiming later")
            except Exception as error:
                log.exception("claiming failed", error)
            await asyncio.sleep(PACE)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._awake.wait()

    async def _claim(self) -> float:
        """Begin what is due and fits; return the seconds until it is worth looking again."""
        room, only_new = self._room()
        self._full = room <= 0 or only_new
        if room <= 0:
            return SCAN
        calls = await store.claim(
            self._db, instance=self._instance, limit=room, lease=self._lease, only_new=only_new
        )
        for call in calls:
            task = asyncio.create_task(self._perform(call), name=f"{self.name}: {call.call}")
            self._in_hand[task] = call
            task.add_done_callback(self._done)
        return 0.0 if len(calls) == room else SCAN

    def _room(self) -> tuple[int, bool]:
        """Return how many calls may be claimed, and whether only new ones."""
        free = self._concurrency - len(self._in_hand)
        repeated = sum(call.attempts > 1 for call in self._in_hand.values())
        again = self._concurrency // 2 - repeated
        return (min(free, again), False) if again > 0 else (free, True)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._in_hand[task]
        if self._full:
            self._awake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.exception("answer of the provider could not be recorded", error)

    async def _perform(self, call: OpenCall) -> None:
        token = attach(call.carrier)
        try:
            answer = await self._provider.perform(call)
        except Unavailable as error:
            if call.attempts == 1:
                facts = {"weft.payment.id": call.payment_id, "weft.why": error.why}
                log.warning("provider call failed, calling again", **facts)
            await self._postpone(call, pause(call.attempts))
        else:
            await self._record(call, answer)
        finally:
            detach(token)

    async def _record(self, call: OpenCall, answer: Answer) -> None:
        if answer.outcome is None:
            await self._inquire_later(call)
            return
        try:
            await retry_on_conflict(lambda: self._conclude(call, answer))
        except Unavailable:
            await self._postpone(call, pause(call.attempts))

    async def _conclude(self, call: OpenCall, answer: Answer) -> None:
        async with self._recording, self._db.transaction() as tx:
            await self._book.conclude(tx, call.payment_id, answer.outcome, reason=answer.reason)

    async def _inquire_later(self, call: OpenCall) -> None:
        if call.age < self._pending_budget:
            longest = max(self._pending_pause, LONGEST_INQUIRY_PAUSE)
            wait = pause(call.attempts, first=self._pending_pause, longest=longest)
            await self._postpone(call, wait, inquire=True)
            return
        log.warning("payment stays pending, asking no more", **{"weft.payment.id": call.payment_id})
        with contextlib.suppress(Unavailable):
            await store.inquire_no_more(self._db, call)

    async def _postpone(self, call: OpenCall, due_in: float, *, inquire: bool = False) -> None:
        # Where this fails too, the claim lapses, and the call is made again.
        with contextlib.suppress(Unavailable):
            async with self._recording:
                await store.postpone(self._db, call, due_in=due_in, inquire=inquire)
        asyncio.get_running_loop().call_later(due_in, self._awake.set)


def pause(attempts: int, *, first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> float:
    """Return the seconds to wait after the `attempts`th call: doubled each time, with jitter."""
    return min(longest, first * 2.0 ** min(attempts - 1, 16)) * random.uniform(0.5, 1)
