"""The faults that are on in this process. While one is off, asking costs one look into a dict."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

ACTIVE: Final[dict[str, float]] = {}
"""Name to value; the watcher of the file writes it, nobody else."""
EFFECTS: Final[dict[str, list[Callable[[], Awaitable[None]]]]] = {}

CONSUMER_PAUSED: Final = "consumer-paused"
CPU_BURN: Final = "cpu-burn"
MEMORY_LEAK: Final = "memory-leak"
POISON_MESSAGES: Final = "poison-messages"
PUBLISH_FAILURES: Final = "publish-failures"

_PERCENT: Final = 100.0


def value(fault: str) -> float | None:
    """Return the value of a fault that is on, else None. What it means is the fault's own."""
    return ACTIVE.get(fault)


def strikes(fault: str) -> bool:
    """Tell whether a fault whose value is a percentage strikes this time."""
    percent = ACTIVE.get(fault)
    return percent is not None and random.random() * _PERCENT < percent


async def delay(fault: str) -> None:
    """Sleep for the seconds that are the fault's value; go on at once while it is off."""
    seconds = ACTIVE.get(fault)
    if seconds is not None:
        await asyncio.sleep(seconds)


def effect(fault: str, work: Callable[[], Awaitable[None]]) -> None:
    """Have `work` run while the fault is on; it is cancelled when that ends."""
    EFFECTS.setdefault(fault, []).append(work)
