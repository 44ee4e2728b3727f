"""Every fault is heard of, and its end too, by the real Prometheus, Alertmanager and notifier.

The tour runs meanwhile: it breaks payments, and both wait for much of the same two minutes.
"""

import asyncio
import json
import re
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from subprocess import CompletedProcess

import aiohttp
import pytest

from stack import flags
from stack.flags import Kind
from stack.system import System as Stack
from tests.end_to_end.outside import EVERY_SCOPE, Door, Running, an_order
from weft.flags.document import Fault, utc_now

pytestmark = [pytest.mark.alone, pytest.mark.timeout(400)]

ORDER = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
TOUR_SECONDS = 300
"""A new user's patience: the tour is under five minutes."""
DEADLINE = 200.0
VALUES = {
    "slow-inventory": 1.2,
    "memory-leak": 64.0,
    "publish-failures": 50.0,
    "slow-reports": 12.0,
}
PLACES = {"cpu-burn": "reports", "consumer-paused": "reports"}
"""Where a fault is, so that orders still come to their end."""
POISON = "poison-messages"
BY_THE_TOUR = {"payment-failures"}

Done = CompletedProcess[str]


class Tour:
    """`weft tour`: it is begun by who needs it first, in its turn."""

    def __init__(self, system: Running, pool: ThreadPoolExecutor) -> None:
        self._begin = partial(pool.submit, system.weft, "tour", seconds=TOUR_SECONDS)
        self._future: Future[Done] | None = None

    def begin(self) -> Future[Done]:
        self._future = self._future or self._begin()
        return self._future


@pytest.fixture(scope="module")
def tour(system: Running) -> Iterator[Tour]:
    end = time.monotonic() + DEADLINE
    while system.weft("order").returncode != 0:  # orders has to know the catalogue
        assert time.monotonic() < end, "no order goes through"
        time.sleep(1)
    with ThreadPoolExecutor(1) as pool:
        yield Tour(system, pool)


class Switchboard:
    """Faults that are on, and what people were told since they are."""

    def __init__(self, stack: Stack, inbox: Door, kinds: list[Kind]) -> None:
        self._stack = stack
        self._inbox = inbox
        self._kinds = {kind.name: kind for kind in kinds}
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.fired: dict[str, float] = {}
        self.resolved: dict[str, float] = {}

    def on(self, name: str) -> None:
        value = VALUES.get(name, self._kinds[name].usual)
        until = utc_now() + timedelta(minutes=5)
        fault = Fault(service=self._place(name), value=value, until=until)
        flags.change(self._stack, lambda all_: all_.__setitem__(name, fault))
        self.began[name] = time.time()

    def off(self, name: str) -> None:
        flags.change(self._stack, lambda all_: all_.__delitem__(name))
        self.ended[name] = time.time()

    async def hear(self) -> None:
        """Take what is new in the inbox; mend what was heard of."""
        answer = await self._inbox.get("/ops/inbox?limit=200")
        assert answer.status == 200, answer.body
        for notice in reversed(answer.json["notices"]):
            at = datetime.fromisoformat(notice["at"]).timestamp()
            for alert in notice["alerts"]:
                for name, began in list(self.began.items()):
                    if self._is_of(name, alert["labels"]) and at > began:
                        self._heard(name, alert["status"], at)

    def _heard(self, name: str, status: str, at: float) -> None:
        if status == "firing" and name not in self.fired:
            self.fired[name] = at
            self.off(name)
        elif status == "resolved" and name in self.ended and at > self.ended[name]:
            self.resolved.setdefault(name, at)

    def _is_of(self, name: str, labels: dict[str, str]) -> bool:
        place = labels.get("service_name") or labels.get("queue", "").partition(".")[0]
        return labels["alertname"] == self._kinds[name].alert and place == self._place(name)

    def _place(self, name: str) -> str:
        return PLACES.get(name, self._kinds[name].service)


@pytest.fixture
async def inbox(system: Running) -> AsyncIterator[Door]:
    """The notifier's own door, for an operator."""
    async with aiohttp.ClientSession() as session:
        yield Door(session, system.url("notifier"), system.token("operator", ["ops"]))


@pytest.fixture
async def customer(caller: Callable[..., Door]) -> AsyncIterator[None]:
    """Somebody who orders twice a second and asks for reports, not put off by what fails."""
    door = caller(scopes=(*EVERY_SCOPE, "reports:write"))
    sku = await door.product(stock=100_000)

    async def order() -> None:
        while True:
            with suppress(aiohttp.ClientError):
                await door.place(an_order(sku))
            await asyncio.sleep(0.5)

    async def ask() -> None:
        body = {"kind": "sales", "from": "2026-01-01", "to": "2026-01-02", "format": "csv"}
        while True:
            with suppress(aiohttp.ClientError):
                key = {"Idempotency-Key": str(uuid.uuid4())}
                await door.ask("POST", "/v1/reports", body, key)
            await asyncio.sleep(1)

    busy = [asyncio.create_task(order()), asyncio.create_task(ask())]
    yield
    for each in busy:
        each.cancel()
    await asyncio.gather(*busy, return_exceptions=True)


@pytest.mark.usefixtures("customer")
async def test_every_fault_fires_its_alert_and_its_end_is_told_as_well(
    system: Running, inbox: Door, tour: Tour, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = [kind for kind in flags.FAULTS if kind.name not in BY_THE_TOUR]
    board = Switchboard(Stack.load(system.environment), inbox, kinds)
    touring = tour.begin()
    try:
        for kind in kinds:
            board.on(kind.name)
        deadline = time.monotonic() + DEADLINE
        while len(board.resolved) < len(kinds) and time.monotonic() < deadline:
            await board.hear()
            if POISON in board.ended and POISON not in board.resolved:
                drop = ("dead-letters", "drop", "--queue", "inventory.commands", "--yes")
                await asyncio.to_thread(system.weft, *drop)
            await asyncio.sleep(1)
    finally:
        for kind in kinds:
            if kind.name not in board.ended:
                board.off(kind.name)
    with capsys.disabled():
        for kind in kinds:
            fired = board.fired.get(kind.name, float("nan")) - board.began[kind.name]
            resolved = board.resolved.get(kind.name, float("nan")) - board.ended[kind.name]
            sys.stdout.write(
                f"\n{kind.name}: {kind.alert} told {fired:.1f} s after it began,"
                f" resolved told {resolved:.1f} s after it ended"
            )
    assert set(board.fired) == {kind.name for kind in kinds}
    assert set(board.resolved) == {kind.name for kind in kinds}
    await asyncio.wrap_future(touring)


def test_the_tour_takes_a_new_user_from_an_order_to_an_alert_that_is_resolved(
    system: Running, tour: Tour
) -> None:
    done = tour.begin().result()
    assert done.returncode == 0, done.stdout + done.stderr
    chapters = re.split(r"^\d/6  ", done.stdout, flags=re.MULTILINE)
    assert len(chapters) == 7
    _, order, trace, logs, metrics, fault, end = chapters

    placed = re.search(rf"order ({ORDER}) placed: 1 x SKU-0001", order)
    assert placed is not None, order
    told = re.findall(r"[+-][\d.]+ s  (\w+)", order)
    assert (told[0], told[-1]) == ("OrderPlaced", "OrderConfirmed")
    named = re.search(r"^trace ([0-9a-f]{32})", trace, re.MULTILINE)
    assert named is not None, trace
    for service in ("gateway", "orders", "inventory", "payments", "card_provider"):
        assert re.search(rf"\b{service}\b", trace), service
    assert re.search(rf"INFO +orders +order finished .*weft_order_id={placed[1]}", logs)
    assert f"trace={named[1]}" in logs
    counted = re.search(r"confirmed: (\d+)", metrics)
    assert counted is not None, metrics
    assert float(counted[1]) >= 1
    assert re.search(r"\d\.\d{3} s from acceptance to end", metrics)

    steps = re.findall(
        r"^ *\+([\d.]+) s  (broken|in the inbox: \[FIRING\] PeerFails \(payments\)|mended"
        r"|in the inbox: \[RESOLVED\] PeerFails \(payments\))",
        fault,
        re.MULTILINE,
    )
    words = ("broken", "FIRING", "mended", "RESOLVED")
    assert [any(word in step for word in words) for _, step in steps] == [True] * 4, fault
    assert [float(at) for at, _ in steps] == sorted(float(at) for at, _ in steps)
    assert re.search(r"order .*, placed while payments failed:\n.*OrderPlaced", fault), fault
    assert json.loads(system.weft("faults", "list", "--json").stdout)[0]["on"] is False
    assert "Enter" not in done.stdout
    assert "again: " in end

    asked = system.weft("trace", placed[1], "--json")
    assert json.loads(asked.stdout)["trace_id"] == named[1]
