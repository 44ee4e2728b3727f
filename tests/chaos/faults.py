"""Does to a running system what the schedule says, and undoes what can be undone."""

import asyncio
import random
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from tests.chaos.broker import LOST, Rabbit
from tests.chaos.machine import DEFAULT_MEMORY, Machine
from tests.chaos.meddling import COPIES, Doubler, Shuffler, meddle
from tests.chaos.schedule import Fault
from weft.ids import uuid7

TRY_SECONDS: Final = 25.0
"""How long a fault is tried that needs a part which another fault has just taken away."""
UNDO_SECONDS: Final = 120.0
_PAUSE: Final = 0.5
_NOT_NOW: Final = (*LOST, subprocess.SubprocessError, AssertionError, ProcessLookupError)
_KEYS: Final = {
    "orders.events": ("weft.events", "stock.reserved"),
    "inventory.commands": ("weft.commands", "ReserveStock"),
    "payments.commands": ("weft.commands", "CapturePayment"),
}

T = TypeVar("T")


@dataclass
class Injected:
    """What became of a fault: when it took effect and what it met; else why it `failed`."""

    fault: Fault
    at: float = 0.0
    note: str = ""
    failed: str = ""


class Faults:
    """Injects faults by their kind.

    `planted` are the identities of messages that nobody can parse, by the queue that they went to;
    the broker has `confirmed` these.
    """

    def __init__(self, machine: Machine, rabbit: Rabbit, seed: int) -> None:
        self._machine = machine
        self._rabbit = rabbit
        self._chance = random.Random(seed)
        self.planted: dict[str, list[str]] = {queue: [] for queue in _KEYS}
        self.confirmed: set[str] = set()
        self._kinds: dict[str, Callable[[Fault], Awaitable[str]]] = {
            "kill": self._kill,
            "kill two": self._kill,
            "pause": self._pause,
            "late replies": self._pause,
            "memory alarm": self._memory_alarm,
            "connections dropped": self._drop,
            "full queue": self._fill,
            "delivered twice": self._double,
            "reordered": self._shuffle,
            "unparsable": self._plant,
        }

    async def run(self, schedule: Sequence[Fault]) -> list[Injected]:
        """Inject all, each at its time from now on; return what became of them."""
        start = asyncio.get_running_loop().time()
        done = [Injected(fault) for fault in schedule]
        async with asyncio.TaskGroup() as under_way:
            for injected in done:
                under_way.create_task(self._inject(injected, start))
        return done

    async def undo(self) -> None:
        """Take back what a broker that was away could not be told."""
        await _again(self._rabbit.unlimit, UNDO_SECONDS)
        await _again(lambda: self._rabbit.delete(COPIES), UNDO_SECONDS)
        if await self._rabbit.alarmed():
            await _again(lambda: self._machine.memory(DEFAULT_MEMORY), UNDO_SECONDS)

    async def _inject(self, injected: Injected, start: float) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, start + injected.fault.at - clock()))
        injected.at = round(clock() - start, 1)
        try:
            injected.note = await self._kinds[injected.fault.kind](injected.fault)
        except _NOT_NOW as error:
            injected.failed = f"{type(error).__name__}: {error}"[:200]

    async def _kill(self, fault: Fault) -> str:
        await self._machine.kill(*fault.targets)
        return ""

    async def _pause(self, fault: Fault) -> str:
        async with self._machine.paused(fault.targets[0]):
            await asyncio.sleep(fault.seconds)
        return ""

    async def _memory_alarm(self, fault: Fault) -> str:
        await _again(lambda: self._machine.memory("1"), TRY_SECONDS)
        try:
            await _again(self._alarm_is_on, TRY_SECONDS)
            await asyncio.sleep(fault.seconds)
        finally:
            await _again(lambda: self._machine.memory(DEFAULT_MEMORY), UNDO_SECONDS)
        return "publishers were blocked"

    async def _alarm_is_on(self) -> None:
        if not await self._rabbit.alarmed():
            raise TimeoutError("the alarm is not on yet")

    async def _drop(self, _: Fault) -> str:
        dropped = await _again(self._rabbit.drop_connections, TRY_SECONDS)
        return f"{dropped} connections"

    async def _fill(self, fault: Fault) -> str:
        """Its consumer is stopped and its length limited: publishers are refused."""
        queue = fault.targets[0]
        async with self._machine.paused(queue.partition(".")[0]):
            try:
                await _again(lambda: self._rabbit.limit(queue, 1), TRY_SECONDS)
                await asyncio.sleep(fault.seconds)
            finally:
                await _again(self._rabbit.unlimit, UNDO_SECONDS)
        return ""

    async def _double(self, fault: Fault) -> str:
        doubled = await meddle(Doubler(self._rabbit, self._chance), fault.seconds)
        return f"{doubled} messages"

    async def _shuffle(self, fault: Fault) -> str:
        shuffler = Shuffler(self._rabbit, fault.targets, self._chance)
        return f"{await meddle(shuffler, fault.seconds)} messages"

    async def _plant(self, fault: Fault) -> str:
        for queue in fault.targets:
            identity = uuid7()
            # Known before it is sent: a confirm may be lost where the message is not.
            self.planted[queue].append(identity)
            await _again(partial(self._rabbit.plant, *_KEYS[queue], identity), TRY_SECONDS)
            self.confirmed.add(identity)
        return ""


async def _again(what: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Do `what` until it succeeds, for so long at most; raises its last error."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await what()
        except _NOT_NOW:
            if asyncio.get_running_loop().time() > end:
                raise
        await asyncio.sleep(_PAUSE)
