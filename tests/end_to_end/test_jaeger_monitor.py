"""Jaeger's Monitor page and its graph of dependencies have data, asked as its own pages ask."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from stack.backends.connect import Backends, connect
from stack.system import System as Stack
from tests.end_to_end.outside import Door, Running, an_order

pytestmark = pytest.mark.timeout(240)

SCOPES = ("orders:read", "orders:write", "inventory:write")
DEADLINE = 90.0
MINUTES_10 = 600_000
KINDS = {
    "gateway": ("server", "POST /v1/orders"),
    "orders": ("server", "POST /v1/orders"),
    "inventory": ("consumer", "process inventory.commands"),
    "payments": ("consumer", "process payments.commands"),
    "card_provider": ("server", "POST /v1/authorizations"),
}
"""Services that an order comes through: a kind of their spans, and an operation of that kind."""
EDGES = {
    ("gateway", "orders"),
    ("orders", "inventory"),
    ("orders", "payments"),
    ("payments", "card_provider"),
    ("payments", "orders"),
    ("inventory", "orders"),
}
"""Who calls whom, or sends messages to whom, for an order."""


@pytest.fixture
async def backends(system: Running) -> AsyncIterator[Backends]:
    async with connect(Stack.load(system.environment)) as clients:
        yield clients


@pytest.fixture
async def orders_placed(caller: Callable[..., Door]) -> None:
    """One as it should be, and one whose calls of the card provider fail twice."""
    door = caller("monitor", SCOPES)
    sku = await door.product(stock=10)
    for token in ("tok_ok", "tok_flaky"):
        placed = await door.place(an_order(sku, 1, token))
        order = await door.finished(placed.json["order_id"])
        assert order["status"] == "confirmed"


async def operations(backends: Backends, metric: str, service: str, kind: str) -> dict[str, float]:
    """What the Monitor shows of a service: for each operation the highest value that it had."""
    params = {
        "service": service,
        "spanKind": kind,
        "groupByOperation": "true",
        "endTs": str(int(time.time() * 1000)),
        "lookback": str(MINUTES_10),
        "step": "5000",
        "ratePer": str(MINUTES_10),
    }
    if metric == "latencies":
        params["quantile"] = "0.95"
    answer = await backends.jaeger.get(f"/api/metrics/{metric}", dict, params=params)
    highest: dict[str, float] = {}
    for series in answer["metrics"]:
        labels = {label["name"]: label["value"] for label in series["labels"]}
        assert labels["service_name"] == service
        values = (
            point.get("gaugeValue", {}).get("doubleValue") for point in series["metricPoints"]
        )
        numbers = [float(value) for value in values if value not in (None, "NaN")]
        highest[labels["operation"]] = max(numbers, default=0.0)
    return highest


def _has(operation: str, seen: dict[str, float]) -> bool:
    return seen.get(operation, 0) > 0


async def eventually(look: Callable[[], Awaitable[Any]], wanted: Callable[[Any], bool]) -> None:
    """Span metrics are flushed every 5 s, and a rate needs two of them."""
    end = time.monotonic() + DEADLINE
    while not wanted(seen := await look()):
        assert time.monotonic() < end, seen
        await asyncio.sleep(1)


@pytest.mark.usefixtures("orders_placed")
async def test_the_monitor_has_calls_latencies_and_errors_of_every_service_of_an_order(
    backends: Backends,
) -> None:
    for metric in ("calls", "latencies"):
        for service, (kind, operation) in KINDS.items():
            await eventually(
                partial(operations, backends, metric, service, kind), partial(_has, operation)
            )
    await eventually(
        lambda: operations(backends, "errors", "card_provider", "server"),
        lambda seen: any(share > 0 for share in seen.values()),
    )
    smallest = await backends.jaeger.get("/api/metrics/minstep", dict)
    assert smallest["data"] > 0


@pytest.mark.usefixtures("orders_placed")
async def test_the_graph_of_dependencies_has_every_edge_of_an_order(
    backends: Backends,
) -> None:
    async def edges() -> set[tuple[str, str]]:
        params = {"endTs": str(int(time.time() * 1000)), "lookback": str(MINUTES_10)}
        answer = await backends.jaeger.get("/api/dependencies", dict, params=params)
        return {
            (one["parent"], one["child"]) for one in answer["data"] or () if one["callCount"] > 0
        }

    await eventually(edges, lambda seen: seen >= EDGES)
