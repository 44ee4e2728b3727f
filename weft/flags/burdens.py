"""What a fault does to a process by itself: takes CPU, takes memory."""

import asyncio
import time
from typing import Final

from weft.flags.faults import CPU_BURN, MEMORY_LEAK, value

SECOND: Final = 1.0
MOST_MIB: Final = 512
"""What a leak takes at most: the alert has fired long before, and the machine has others."""
_MIB: Final = 1024 * 1024
_PERIOD: Final = 0.25


async def burn() -> None:
    """Compute without giving way for the fault's percentage of each second."""
    while True:
        share = min((value(CPU_BURN) or 0.0) / 100, 0.95)
        end = time.perf_counter() + SECOND * share
        while time.perf_counter() < end:
            pass
        await asyncio.sleep(SECOND * (1 - share))


async def leak() -> None:
    """Take the fault's MiB each second and keep them until the fault ends."""
    kept: list[bytearray] = []
    try:
        await _take(kept)
        await asyncio.Event().wait()
    finally:
        kept.clear()  # what ended may be kept, with what it held, by who asks how


async def _take(kept: list[bytearray]) -> None:
    owed, taken = 0.0, 0
    while taken < MOST_MIB * _MIB:
        owed += (value(MEMORY_LEAK) or 0.0) * _MIB * _PERIOD
        size = min(int(owed), MOST_MIB * _MIB - taken)
        owed -= size
        taken += size
        kept.append(bytearray(b"\x01") * size)  # written to, so that it is resident
        await asyncio.sleep(_PERIOD)
