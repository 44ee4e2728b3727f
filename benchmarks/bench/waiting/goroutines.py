"""The same in Go: waiting.go, built by the Go that is here."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.bench.processes import ROOT
from benchmarks.bench.subject import Meter, Place, working
from benchmarks.bench.waiting.job import DEADLINE, RENEW, WORKERS, slow_server

_SOURCE: Final = Path(__file__).with_name("waiting.go")
_BINARY: Final = ROOT / "build" / "bench" / "waiting"
_END_SECONDS: Final = 10.0
_LOOK: Final = 0.05


@asynccontextmanager
async def goroutines(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Run the program; it tells ten times a second what it has done."""
    del place
    build = await asyncio.create_subprocess_exec("go", "build", "-o", _BINARY, _SOURCE)
    if await build.wait():
        raise RuntimeError("waiting.go does not build")
    async with slow_server() as port:
        options = {
            "port": port,
            "workers": WORKERS,
            "renew": f"{RENEW}s",
            "deadline": f"{DEADLINE}s",
        }
        process = await asyncio.create_subprocess_exec(
            _BINARY, *(f"-{name}={value}" for name, value in options.items()), stdout=PIPE
        )
        try:
            async with working(_read(process.stdout, meter)):
                while meter.units < WORKERS:  # noqa: ASYNC110 - until each has had a report
                    await asyncio.sleep(_LOOK)
                yield
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), _END_SECONDS)


async def _read(lines: asyncio.StreamReader | None, meter: Meter) -> None:
    if lines is None:
        raise RuntimeError("the program has no output")
    async for line in lines:
        told = json.loads(line)
        for milliseconds in told["took_ms"]:
            meter.took(milliseconds / 1000)
        meter.figures["worst_lag_ms"] = told["worst_lag_ms"]
        meter.figures["kilobytes_a_worker_KB"] = told["memory"] / WORKERS / 1024
    raise RuntimeError("the program has ended")
