"""`python -m benchmarks.steps`: steps of demand at random moments on a running system, until more
report workers are there. It wants WEFT_FAULTS (a local system has it) and a quiet machine."""

import argparse
import asyncio
import random
import statistics
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp

from stack import databases, flags
from stack.backends.connect import Backends, connect
from stack.system import System
from weft.flags.document import Fault, Flag, utc_now

SECONDS: Final = 120.0
"""How long anything may take."""
LOOK_EVERY: Final = 0.05
SCOPES: Final = ("reports:read", "reports:write")
FLAG: Final = "slow-reports"


class Demand:
    """A customer of the running system, and what the runner's rows and Prometheus tell."""

    def __init__(self, system: System, http: aiohttp.ClientSession, backends: Backends) -> None:
        self._system = system
        self._http = http
        self._backends = backends
        token = system.credentials.signer().mint("steps", SCOPES, 3600).token
        self._headers = {"Authorization": f"Bearer {token}"}

    async def step(self, reports: int) -> tuple[float, float, int]:
        """Ask for so many reports at once, from where the scaler sleeps; wait until it does again.

        Return the seconds until more workers were decided on and until Prometheus showed that they
        are there, and how many there were to be at most.
        """
        least = (await self._until_asleep())["desired"]
        await asyncio.sleep(random.uniform(0, 10))
        began = time.time()
        asked = asyncio.gather(*(self._ask() for _ in range(reports)))
        row = await self._until(lambda row: row["desired"] > least)
        decided = row["changed_at"].timestamp() - began
        there = await self._until_more(least) - began
        await asked
        await self._until_asleep()
        return decided, there, await self._most(began)

    async def _ask(self) -> None:
        today = datetime.now(UTC).date()
        body = {"kind": "sales", "from": str(today), "to": str(today + timedelta(days=1))}
        headers = self._headers | {"Idempotency-Key": str(uuid.uuid4())}
        url = f"{self._system.ports.url('gateway')}/v1/reports"
        sent = body | {"format": "csv"}
        async with self._http.post(url, json=sent, headers=headers) as answer:
            answer.raise_for_status()

    async def _until_more(self, least: int) -> float:
        """Return the time at which Prometheus knows of more workers."""
        async with asyncio.timeout(SECONDS):
            while True:
                samples = await self._backends.prometheus.query("sum(weft_report_workers)")
                if any(sample.value > least for sample in samples):
                    return time.time()
                await asyncio.sleep(LOOK_EVERY)

    async def _until_asleep(self) -> dict[str, Any]:
        return await self._until(lambda row: row["wake"] == "asleep")

    async def _until(self, wanted: Any) -> dict[str, Any]:
        async with (
            asyncio.timeout(SECONDS),
            databases.connect(self._system, "report_runner") as connection,
        ):
            while True:
                row = await connection.fetchrow("SELECT desired, wake, changed_at FROM workers")
                if row is not None and wanted(row):
                    return dict(row)
                await asyncio.sleep(LOOK_EVERY)

    async def _most(self, since: float) -> int:
        async with databases.connect(self._system, "report_runner") as connection:
            found = await connection.fetchval(
                "SELECT max(workers) FROM decisions WHERE at > to_timestamp($1)", since
            )
        return int(found)


async def measure(steps: int, reports: int, slow: float) -> None:
    """Print each step, then median, 95th percentile and the worst."""
    system = System.load()
    until = utc_now() + timedelta(minutes=55)
    fault = Fault(service="report_runner", value=slow, until=until)
    flags.change(system, lambda all_: all_.__setitem__(FLAG, fault))
    found = []
    try:
        async with connect(system) as backends, aiohttp.ClientSession() as http:
            demand = Demand(system, http, backends)
            for number in range(1, steps + 1):
                decided, there, most = await demand.step(reports)
                found.append((decided, there))
                say(f"{number:>3}: decided {decided:.2f} s, seen {there:.2f} s, {most} workers")
    finally:
        flags.change(system, _without)
    for name, times in zip(
        ("decided", "seen in Prometheus"), zip(*found, strict=True), strict=True
    ):
        ordered = sorted(times)
        p95 = statistics.quantiles(ordered, n=20, method="inclusive")[-1]
        say(
            f"{name}: median {statistics.median(ordered):.2f} s, p95 {p95:.2f} s,"
            f" worst {ordered[-1]:.2f} s of {steps} steps"
        )


def _without(all_: dict[str, Flag]) -> None:
    all_.pop(FLAG, None)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--reports", type=int, default=30, help="asked for at once")
    parser.add_argument("--slow", type=float, default=1.0, help="seconds that a report takes")
    chosen = parser.parse_args()
    asyncio.run(measure(chosen.steps, chosen.reports, chosen.slow))


if __name__ == "__main__":
    main()
