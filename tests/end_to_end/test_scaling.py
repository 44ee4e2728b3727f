"""Demand scales the report workers, on the real Prometheus and Alertmanager."""

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stack import databases, flags
from stack.backends.connect import Backends, connect
from stack.system import System as Stack
from tests.end_to_end.outside import Door, Running, an_order
from weft.flags.document import Fault, utc_now

Caller = Callable[..., Door]
SCOPES = ("orders:read", "orders:write", "inventory:write", "reports:read", "reports:write")
SECONDS = 90.0
REPORTS = 40
SLOW = 1.0
"""Seconds that a report takes at least."""


@pytest.fixture
async def stack(system: Running) -> Stack:
    return Stack.load(system.environment)


@pytest.fixture
async def backends(stack: Stack) -> AsyncIterator[Backends]:
    async with connect(stack, connections=20) as clients:
        yield clients


@pytest.fixture
def slow(stack: Stack) -> Iterator[None]:
    """Reports take a while."""
    until = utc_now() + timedelta(minutes=5)
    fault = Fault(service="report_runner", value=SLOW, until=until)
    flags.change(stack, lambda all_: all_.__setitem__("slow-reports", fault))
    yield
    flags.change(stack, lambda all_: all_.__delitem__("slow-reports"))


async def until(ask: Callable[[], Awaitable[bool]], what: str) -> float:
    """Return the time at which it was so."""
    end = time.time() + SECONDS
    while time.time() < end:
        if await ask():
            return time.time()
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {SECONDS:g} s: {what}")


async def report(door: Door) -> str:
    """Ask for a report of today."""
    today = datetime.now(UTC).date()
    body = {"kind": "sales", "from": str(today - timedelta(days=1)), "format": "csv"}
    body |= {"to": str(today + timedelta(days=2))}
    asked = await door.ask("POST", "/v1/reports", body, {"Idempotency-Key": str(uuid.uuid4())})
    assert asked.status == 202, asked.body
    return str(asked.json["report_id"])


async def ended(door: Door, report_id: str) -> str:
    """Return how a report has ended."""
    async with asyncio.timeout(SECONDS):
        while True:
            status = (await door.get(f"/v1/reports/{report_id}")).json["status"]
            if status not in ("queued", "running"):
                return str(status)
            await asyncio.sleep(0.5)


class Workers:
    """What the runner's database says of workers."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    async def row(self) -> dict[str, Any]:
        async with databases.connect(self._stack, "report_runner") as connection:
            row = await connection.fetchrow("SELECT desired, wake, changed_at FROM workers")
        assert row is not None
        return dict(row)

    async def asleep(self) -> bool:
        return (await self.row())["wake"] == "asleep"


@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_a_step_of_demand_brings_more_workers_which_lose_no_report_and_go_again(
    system: Running,
    stack: Stack,
    caller: Caller,
    backends: Backends,
    slow: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del slow
    door, workers = caller(scopes=SCOPES), Workers(stack)
    placed = await door.place(an_order(await door.product(stock=9)))
    await door.finished(placed.json["order_id"])

    async def sold() -> bool:
        return await ended(door, await report(door)) == "finished"

    await until(sold, "the sales are known to reports")
    await until(workers.asleep, "the scaler sleeps")
    least = (await workers.row())["desired"]

    began = time.time()
    asked = await asyncio.gather(*(report(door) for _ in range(REPORTS)))

    async def wanted() -> bool:
        return (await workers.row())["desired"] > least

    async def there() -> bool:
        samples = await backends.prometheus.query("sum(weft_report_workers)")
        return any(sample.value > least for sample in samples)

    await until(wanted, "more workers are wanted")
    decided = (await workers.row())["changed_at"].timestamp() - began
    seen = await until(there, "more workers are there") - began

    states = await asyncio.gather(*(ended(door, report_id) for report_id in asked))
    assert states == ["finished"] * REPORTS
    drained = time.time() - began
    slept = await until(workers.asleep, "the scaler sleeps again") - began
    assert (await workers.row())["desired"] == least

    told = json.loads(system.weft("scaling", "history", "--json", "--since", "10m").stdout)
    told = [one for one in told if datetime.fromisoformat(one["at"]).timestamp() > began]
    assert (told[0]["phase"], told[0]["alerts"]) == ("woke", ["ReportsWaiting"])
    assert (told[-1]["phase"], told[-1]["workers"]) == ("slept", least)
    assert {"waiting", "oldest", "service_time", "arrival_rate"} <= told[0]["inputs"].keys()
    most = max(one["workers"] for one in told)
    people = system.weft("inbox", "--json", "--limit", "1000").stdout
    assert not any(name in people for name in ("ReportsWaiting", "WorkersIdle"))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{REPORTS} reports of {SLOW:g} s at once, {least} workers: more decided after"
            f" {decided:.1f} s, seen in Prometheus after {seen:.1f} s, {most} at most, all made"
            f" after {drained:.1f} s, {least} again after {slept:.1f} s\n"
        )


@pytest.fixture
def prometheus(system: Running) -> Iterator[Callable[[int], None]]:
    """Sends Prometheus a signal; it goes on afterwards."""
    entries = json.loads(system.weft("status", "--json").stdout)
    pid = next(int(one["pid"]) for one in entries if one["name"] == "prometheus")
    yield lambda number: os.kill(pid, number)
    os.kill(pid, signal.SIGCONT)


@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_without_prometheus_the_last_size_holds_and_with_it_demand_scales_again(
    system: Running,
    stack: Stack,
    caller: Caller,
    slow: None,
    prometheus: Callable[[int], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    del slow
    door, workers = caller(scopes=SCOPES), Workers(stack)

    async def demand() -> list[str]:
        return await asyncio.gather(*(report(door) for _ in range(REPORTS // 2)))

    async def over(asked: list[str]) -> None:
        await asyncio.gather(*(ended(door, report_id) for report_id in asked))

    await until(workers.asleep, "the scaler sleeps")
    before = await workers.row()
    prometheus(signal.SIGSTOP)
    began = time.time()
    await over(await demand())
    held = time.time() - began
    assert await workers.row() == before
    told = system.weft("scaling", "history", "--json", "--since", "10m").stdout
    since = [one["at"] for one in json.loads(told)]
    assert not [at for at in since if datetime.fromisoformat(at).timestamp() > began]

    prometheus(signal.SIGCONT)
    back = time.time()
    asked = []

    async def wanted() -> bool:
        if not await waiting():
            asked.extend(await demand())
        return (await workers.row())["desired"] > before["desired"]

    async def waiting() -> bool:
        async with databases.connect(stack, "reports") as connection:
            return bool(
                await connection.fetchval("SELECT count(*) FROM reports WHERE status = 'queued'")
            )

    scaled = await until(wanted, "more workers are wanted") - back
    await over(asked)
    await until(workers.asleep, "the scaler sleeps again")
    with capsys.disabled():
        sys.stdout.write(
            f"\nwithout Prometheus {REPORTS // 2} reports took the same {before['desired']} workers"
            f" {held:.1f} s; more decided {scaled:.1f} s after its return\n"
        )
