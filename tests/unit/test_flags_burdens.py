"""What faults take of a process: CPU, memory, and all of it is given back."""

import asyncio
import gc

import psutil
import pytest

from weft.flags import burdens, faults

MIB = 1024 * 1024


async def test_a_burning_process_holds_its_event_loop_up_and_lets_others_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(faults.ACTIVE, faults.CPU_BURN, 80.0)
    work = asyncio.ensure_future(burdens.burn())
    loop = asyncio.get_running_loop()
    lates = []
    for _ in range(2):
        due = loop.time() + 0.1
        await asyncio.sleep(0.1)
        lates.append(loop.time() - due)
    work.cancel()
    assert max(lates) > 0.5


async def test_a_leak_is_resident_bounded_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burdens, "MOST_MIB", 48)
    monkeypatch.setattr(burdens, "_PERIOD", 0.01)
    monkeypatch.setitem(faults.ACTIVE, faults.MEMORY_LEAK, 1600.0)
    process = psutil.Process()
    before = process.memory_info().rss
    work = asyncio.ensure_future(burdens.leak())
    async with asyncio.timeout(30):
        while process.memory_info().rss - before < 40 * MIB:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    assert process.memory_info().rss - before < 80 * MIB
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    gc.collect()
    assert process.memory_info().rss - before < 24 * MIB
