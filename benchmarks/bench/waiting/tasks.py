"""Workers as report_runner has them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psutil

from benchmarks.bench.subject import Meter, Place
from benchmarks.bench.waiting.job import DEADLINE, RENEW, WORKERS, slow_server

_CONNECTING: Final = 200
_LOOK: Final = 0.05


@asynccontextmanager
async def tasks(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Run all workers, and watch memory and the loop."""
    del place
    before = psutil.Process().memory_info().rss
    async with slow_server() as port:
        gate = asyncio.Semaphore(_CONNECTING)
        workers = [asyncio.create_task(_worker(port, gate, meter)) for _ in range(WORKERS)]
        while meter.units < WORKERS:  # noqa: ASYNC110 - until each has had a report
            await asyncio.sleep(_LOOK)
        watch = asyncio.create_task(_watch(meter, before))
        yield
        for task in (watch, *workers):
            task.cancel()
        await asyncio.gather(watch, *workers, return_exceptions=True)


async def _worker(port: int, gate: asyncio.Semaphore, meter: Meter) -> None:
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        while True:
            began = time.monotonic()
            await _report(reader, writer)
            meter.took(time.monotonic() - began)


async def _report(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    work = asyncio.create_task(_work(reader, writer))
    keep = asyncio.create_task(_keep())
    try:
        done, _ = await asyncio.wait(
            {work, keep}, timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED
        )
        if work not in done:
            raise TimeoutError
    finally:
        for task in (work, keep):
            task.cancel()
        await asyncio.gather(work, keep, return_exceptions=True)


async def _work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"?")
    await reader.readexactly(1)


async def _keep() -> None:
    while True:  # noqa: ASYNC110 - a lease is renewed by the clock
        await asyncio.sleep(RENEW)


async def _watch(meter: Meter, before: int) -> None:
    """Note the worst delay of what is due, and the most memory above that of the start."""
    worst, most = 0.0, 0
    while True:
        due = time.monotonic() + _LOOK
        await asyncio.sleep(_LOOK)
        worst = max(worst, time.monotonic() - due)
        most = max(most, psutil.Process().memory_info().rss - before)
        meter.figures["worst_lag_ms"] = worst * 1000
        meter.figures["kilobytes_a_worker_KB"] = most / WORKERS / 1024
