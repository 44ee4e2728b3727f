"""RabbitMQ's own PerfTest, fetched by Maven in the version that pom.xml names."""

import asyncio
import re
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.bench.processes import ROOT
from benchmarks.bench.publish.job import BODY, IN_FLIGHT, QUEUE
from benchmarks.bench.subject import Meter, Place, working

_JARS: Final = ROOT / "build" / "bench" / "perf-test"
_POM: Final = Path(__file__).with_name("pom.xml")
_LINE: Final = re.compile(rb"time ([0-9.]+) s, .*confirmed: ([0-9]+) msg/s")
_END_SECONDS: Final = 10.0
_START_SECONDS: Final = 60.0
_WARM_SECONDS: Final = 4.0
"""Until its hot paths are compiled."""


@asynccontextmanager
async def perf_test(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Publish with PerfTest; it tells once a second what was confirmed."""
    await _fetch()
    options = {
        "--uri": place.broker,
        "--producers": "1",
        "--consumers": "0",
        "--queue": QUEUE,
        "--size": str(len(BODY)),
        "--confirm": str(IN_FLIGHT),
    }
    process = await asyncio.create_subprocess_exec(
        *("java", "-cp", f"{_JARS}/*", "com.rabbitmq.perf.PerfTest", "--quorum-queue"),
        *("--flag", "persistent", "--flag", "mandatory"),
        *(word for option in options.items() for word in option),
        stdin=DEVNULL,
        stdout=PIPE,
    )
    try:
        async with working(_read(process, meter)):
            async with asyncio.timeout(_START_SECONDS):
                while not meter.units:  # noqa: ASYNC110 - lines come once a second
                    await asyncio.sleep(0.1)
            await asyncio.sleep(_WARM_SECONDS)
            yield
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), _END_SECONDS)


async def _fetch() -> None:
    if any(_JARS.glob("perf-test-*.jar")):
        return
    goal = ("dependency:copy-dependencies", f"-DoutputDirectory={_JARS}")
    maven = await asyncio.create_subprocess_exec(
        "mvn", "-q", "-B", "-f", _POM, *goal, stdin=DEVNULL, stdout=DEVNULL
    )
    if await maven.wait():
        raise OSError("Maven could not fetch PerfTest")


async def _read(process: Process, meter: Meter) -> None:
    assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
    before = 0.0
    async for line in process.stdout:
        if found := _LINE.search(line):
            seconds = float(found[1])
            meter.at = time.monotonic()
            meter.units += round(int(found[2]) * (seconds - before))
            before = seconds
    raise OSError("PerfTest has ended")
