"""The process under test: `python -m benchmarks.bench.subject MODULE:FUNCTION`.

The function is an asynchronous context manager `function(place, meter)`: entering sets up and
begins the work, which tells `meter` what it has done; leaving ends it. On standard input come
`begin` and `end`; on standard output go lines of JSON: that it is ready, that it has begun, and
what was measured between the two. `finish` comes last: it is answered when `Meter.finish` has run.
"""

import asyncio
import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import psutil
import uvloop

PLACE: Final = "WEFT_BENCH_PLACE"
SAMPLES: Final = 1_000_000
_P50: Final = 0.5
_P99: Final = 0.99


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a subject works: an empty virtual host and database of its own, and their addresses.

    `address` is what a server told its driver; the admin's addresses lead to the same servers.
    """

    broker: str = ""
    database: str = ""
    telemetry: str = ""
    address: str = ""

    @classmethod
    def here(cls) -> "Place":
        """Return the place that this process was given."""
        return cls(**json.loads(os.environ[PLACE]))


@dataclass
class Meter:
    """What a subject has done so far. It may only grow, but for `figures` and `address`.

    `at` is the monotonic time of `units` where that is not now. `figures` are further metrics of
    the whole run by name; `address` is where a server listens, for its driver. `finish` is awaited
    when all is measured: what raises there, such as a check of the work, fails the run.
    """

    units: int = 0
    at: float | None = None
    latencies: list[float] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    address: str = ""
    finish: Callable[[], Awaitable[None]] | None = None

    def took(self, seconds: float) -> None:
        """Count a unit that took so long."""
        self.units += 1
        if len(self.latencies) < SAMPLES:
            self.latencies.append(seconds)


Function = Callable[[Place, Meter], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def working(*loops: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Run endless work beside the block; what it raises ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop) for loop in loops]
        yield
        for task in tasks:
            task.cancel()


class Span:
    """What was measured since it was made: CPU time is that of the process and its children."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._units, self._at = meter.units, meter.at or time.monotonic()
        self._latencies = len(meter.latencies)
        self._children = _children_seconds()
        self._began, self._cpu = time.monotonic(), _own_seconds()

    def measured(self) -> dict[str, Any]:
        """Return the figures; `cores` is CPU seconds a second, `rate` units a second."""
        meter = self._meter
        now = time.monotonic()
        cpu = _own_seconds() - self._cpu
        cpu += _children_seconds() - self._children
        seconds = (meter.at or now) - self._at
        times = sorted(meter.latencies[self._latencies :])
        return {
            "cores": cpu / (now - self._began),
            "rate": (meter.units - self._units) / seconds if seconds > 0 else 0.0,
            "p50_ms": times[int(len(times) * _P50)] * 1000 if times else None,
            "p99_ms": times[int(len(times) * _P99)] * 1000 if times else None,
            "figures": meter.figures,
        }


def _own_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _children_seconds() -> float:
    """Return what children have used; looking for them costs something itself."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            times = child.cpu_times()
            total += times.user + times.system
    return total


async def _run(function: Function) -> None:
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    meter = Meter()
    async with function(Place.here(), meter):
        gc.collect()
        gc.freeze()  # as a Weft service does when it has started: the same for all
        _say({"ready": meter.address})
        span = Span(meter)
        while command := (await commands.readline()).strip():
            if command == b"begin":
                span = Span(meter)
                _say({"began": True})
            elif command == b"end":
                _say(span.measured())
            elif command == b"finish":
                if meter.finish is not None:
                    await meter.finish()
                _say({"finished": True})


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - the protocol


def main() -> None:
    """Run the subject that the command line names."""
    module, _, name = sys.argv[1].partition(":")
    function: Function = getattr(importlib.import_module(module), name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(function))


if __name__ == "__main__":
    # Imported under its own name, so that subjects meet the same classes.
    importlib.import_module("benchmarks.bench.subject").main()
