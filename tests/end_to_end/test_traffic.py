"""The traffic that a start brings along: seen in every signal, counted in no business metric."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import asyncpg
import pytest

from stack.backends.connect import Backends, connect
from stack.system import System as Stack
from tests.end_to_end.conftest import Caller
from tests.end_to_end.outside import Door, Running, an_order
from weft.backends.logql import Query

SECONDS = 60.0
ENDS = {("confirmed", None), ("rejected", "payment_declined"), ("rejected", "out_of_stock")}
SERVICES = {"traffic", "gateway", "orders", "inventory", "payments", "card_provider"}
SAGAS = "weft_saga_active"
COUNTERS = (
    "weft_orders_total",
    "weft_order_duration_seconds_count",
    "weft_stock_reservations_total",
    "weft_reports_total",
    "weft_report_wait_seconds_count",
    "weft_report_queue_requested",
)
T = TypeVar("T")


async def until(ask: Callable[[], Awaitable[T | None]], what: str) -> T:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if answer := await ask():
            return answer
        await asyncio.sleep(0.25)
    raise AssertionError(f"not within {SECONDS:g} s: {what}")


@pytest.fixture
async def backends(system: Running) -> AsyncIterator[Backends]:
    async with connect(Stack.load(system.environment)) as clients:
        yield clients


@pytest.fixture
def traffic(system: Running) -> Iterator[None]:
    """Traffic, as a start without WEFT_TRAFFIC=0 has it."""
    ran = '"traffic"' in system.weft("status", "--json").stdout
    done = system.weft("scale", "traffic", "1")
    assert done.returncode == 0, done.stderr
    yield
    if not ran:
        done = system.weft("scale", "traffic", "0")
        assert done.returncode == 0, done.stderr
        assert '"traffic"' not in system.weft("status", "--json").stdout


async def total(backends: Backends, metric: str) -> float:
    return sum(sample.value for sample in await backends.prometheus.query(f"sum({metric})"))


async def counted(backends: Backends) -> dict[str, float]:
    return {name: await total(backends, name) for name in COUNTERS}


async def nobody_waits(backends: Backends, since: float) -> bool | None:
    """Whether no order is open, by counters that every service has sent since then."""
    sent = [
        sample.value
        for metric in COUNTERS
        for sample in await backends.prometheus.query(f"timestamp({metric})")
    ]
    return (min(sent, default=since) >= since and await total(backends, SAGAS) == 0) or None


async def no_report_waits(system: Running) -> bool | None:
    reports = await asyncpg.connect(system.variables["WEFT_REPORTS_DATABASE_URL"])
    try:
        waiting = "SELECT EXISTS (SELECT FROM reports WHERE finished_at IS NULL AND NOT synthetic)"
        return not await reports.fetchval(waiting) or None
    finally:
        await reports.close()


async def of_every_kind(door: Door) -> list[dict[str, Any]] | None:
    orders: list[dict[str, Any]] = (await door.get("/v1/orders?limit=20")).json["orders"]
    ends = {(order["status"], order["reason"]) for order in orders}
    return orders if ends >= ENDS else None


@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("traffic")
async def test_traffic_is_in_every_signal_and_in_no_business_metric_and_customers_cannot_join_it(
    backends: Backends, caller: Caller, system: Running
) -> None:
    customer = caller()
    await until(lambda: no_report_waits(system), "reports of earlier tests are made")
    began = time.time()
    await until(lambda: nobody_waits(backends, began), "orders of earlier tests are counted")
    before = await counted(backends)
    watching = caller("traffic", ["orders:read"])
    orders = await until(lambda: of_every_kind(watching), "orders that end in every way")

    async def a_report() -> bool | None:
        good = 'weft_probe_attempts_total{probe="report",outcome="ok"}'
        return await total(backends, good) >= 1 or None

    await until(a_report, "a probe's report is made and fetched")
    sku = await customer.product(stock=5)
    hiding = {"baggage": "weft.synthetic=true"}
    placed = await customer.place(an_order(sku), headers=hiding)
    assert (await customer.finished(placed.json["order_id"]))["status"] == "confirmed"

    async def grown() -> dict[str, float] | None:
        now = await counted(backends)
        return now if now["weft_orders_total"] > before["weft_orders_total"] else None

    after = await until(grown, "the customer's order is counted")
    grew = {name: after[name] - before[name] for name in after}
    assert grew["weft_orders_total"] == grew["weft_order_duration_seconds_count"] == 1
    assert grew["weft_stock_reservations_total"] <= 2
    assert [grew[name] for name in COUNTERS[-3:]] == [0, 0, 0]

    confirmed = next(order for order in orders if order["status"] == "confirmed")

    async def marked() -> bool | None:
        trace = await backends.jaeger.settled(confirmed["trace_id"], deadline=5)
        spans = trace.spans if trace else []
        return {s.service for s in spans if s.attributes.get("weft.synthetic")} >= SERVICES or None

    await until(marked, "every service marks its spans of a traffic order")
    about = Query(facts={"weft.order.id": confirmed["order_id"]}, text="order finished")
    now = time.time()
    [line] = await backends.loki.search(about, since=now - 600, until=now + 1)
    assert str(line.facts["weft_synthetic"]).lower() == "true"
    assert await total(backends, "weft_traffic_orders_total") >= len(ENDS)
