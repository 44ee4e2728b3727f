"""Every query of Grafana's dashboards and every link between signals, asked of the real backends.

Grafana's own variables are filled in as Grafana does it; no Grafana is needed.
"""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from stack.backends.connect import Backends, connect
from stack.backends.http import BackendError
from stack.system import System as Stack

FOLDER = Path("grafana")
SCOPES = ("orders:read", "orders:write", "inventory:write")
LOOKBACK = 600.0
DEADLINE = 60.0
FILLED_IN = {"$__rate_interval": "1m", "$__auto": "1m", "$service": ".+"}

EVERY = {"gateway", "orders", "inventory", "payments", "card_provider"}
SERVE = {"gateway", "orders", "card_provider"}
HANDLE = {"orders", "inventory", "payments"}
QUEUES = {"orders.events", "inventory.commands", "payments.commands"}


class Running(Protocol):
    environment: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What a query gave: for each series or line its labels and its highest finite value."""

    labels: list[dict[str, str]]
    values: list[float]

    def seen(self, label: str) -> set[str]:
        return {one[label] for one in self.labels if label in one}


Check = Callable[[Answer], bool]


def labelled(label: str, wanted: set[str]) -> Check:
    return lambda answer: answer.seen(label) >= wanted


def above_zero(answer: Answer) -> bool:
    return any(value > 0 for value in answer.values)


def there(answer: Answer) -> bool:
    return bool(answer.values)


def outcomes(answer: Answer) -> bool:
    return answer.seen("outcome") >= {"confirmed", "rejected"} and answer.seen("reason") >= {
        "payment_declined"
    }


EXPECTED: dict[str, Check] = {
    "Requests at the gateway": above_zero,
    "Failed requests": there,
    "p95 at the gateway": above_zero,
    "Finished orders": above_zero,
    "Orders in progress": there,
    "Instances ready": lambda answer: any(value >= len(EVERY) for value in answer.values),
    "Requests": labelled("service_name", SERVE),
    "Failed requests by service": labelled("service_name", SERVE),
    "Request latency p50": labelled("service_name", SERVE),
    "Request latency p95": labelled("service_name", SERVE),
    "Request latency p99": labelled("service_name", SERVE),
    "Messages by queue": labelled("queue", QUEUES),
    "Failed messages": labelled("service_name", HANDLE),
    "Message latency p50": labelled("service_name", HANDLE),
    "Message latency p95": labelled("service_name", HANDLE),
    "Message latency p99": labelled("service_name", HANDLE),
    "Orders by outcome": outcomes,
    "Order duration": above_zero,
    "Orders in progress over time": there,
    "Event-loop lag": labelled("service_name", EVERY),
    "Relay lag": labelled("service_name", HANDLE),
    "Relay lag in time": labelled("service_name", HANDLE),
    "Messages in hand": labelled("queue", QUEUES),
    "Messages in queues": labelled("queue", QUEUES | {"orders.events.dead"}),
    "CPU": labelled("service_name", EVERY),
    "Log lines by service": labelled("service_name", EVERY),
    "Log lines by severity": labelled("severity_text", {"INFO"}),
    "Recent log lines": labelled("service_name", {"gateway", "orders"}),
    "Recent traces": labelled("service", {"gateway", "orders", "inventory", "payments"}),
}
"""What each panel's data must be about, by its title."""


def targets() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for file in sorted((FOLDER / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            found += [(panel["title"], target) for target in panel.get("targets", [])]
    return found


TARGETS = targets()


@pytest.fixture
async def backends(system: Running) -> AsyncIterator[Backends]:
    async with connect(Stack.load(system.environment)) as clients:
        yield clients


@pytest.fixture(autouse=True)
async def trace_id(backends: Backends) -> str:
    """Orders of this moment, one of them declined; the trace of a confirmed one."""
    gateway = backends.gateway("grafana-queries", SCOPES)
    name = "GRAFANA-1"
    product = {"name": "test", "price": {"amount": "1.00", "currency": "EUR"}, "stock": 1000}
    put = await gateway.call("PUT", f"/v1/products/{name}", headers=gateway._headers, json=product)
    assert put.status in (200, 201), put.body
    placed = [await gateway.place(name, 1, token) for token in ("tok_declined", "tok_ok")]
    for one in placed:
        async for order in gateway.follow(one.order_id):
            last = order
    assert last.status == "confirmed"
    return placed[-1].trace_id


def filled_in(expression: str) -> str:
    for variable, value in FILLED_IN.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, f"a variable that is not filled in: {expression}"
    return expression


async def ask_prometheus(backends: Backends, target: dict[str, Any]) -> Answer:
    now = time.time()
    params = {
        "query": filled_in(target["expr"]),
        "start": f"{now - LOOKBACK:.3f}",
        "end": f"{now:.3f}",
        "step": "5",
    }
    body = await backends.prometheus.get("/api/v1/query_range", dict, params=params)
    highest = {}
    for number, series in enumerate(body["data"]["result"]):
        finite = [float(value) for _, value in series["values"] if math.isfinite(float(value))]
        if finite:
            highest[number] = (series["metric"], max(finite))
    return Answer(
        [labels for labels, _ in highest.values()], [value for _, value in highest.values()]
    )


async def ask_loki(backends: Backends, target: dict[str, Any]) -> Answer:
    now = time.time()
    params = {
        "query": filled_in(target["expr"]),
        "start": str(int((now - LOOKBACK) * 1e9)),
        "end": str(int((now + 1) * 1e9)),
        "limit": str(target.get("maxLines", 1000)),
    }
    body = await backends.loki.get("/loki/api/v1/query_range", dict, params=params)
    result = body["data"]["result"]
    return Answer([one.get("metric") or one["stream"] for one in result], [1.0 for one in result])


async def ask_jaeger(backends: Backends, target: dict[str, Any]) -> Answer:
    assert target["queryType"] == "search"
    now = time.time()
    params = {
        "service": target["service"],
        "operation": target["operation"],
        "limit": str(target["limit"]),
        "start": str(int((now - LOOKBACK) * 1e6)),
        "end": str(int((now + 1) * 1e6)),
    }
    body = await backends.jaeger.get("/api/traces", dict, params=params)
    processes = [process for trace in body["data"] for process in trace["processes"].values()]
    return Answer([{"service": one["serviceName"]} for one in processes], [1.0 for _ in processes])


ASK = {"prometheus": ask_prometheus, "loki": ask_loki, "jaeger": ask_jaeger}


def test_every_panel_has_an_expectation_and_every_expectation_a_panel() -> None:
    assert {title for title, _ in TARGETS} == set(EXPECTED)


@pytest.mark.parametrize(
    ("title", "target"), TARGETS, ids=[f"{title} {target['refId']}" for title, target in TARGETS]
)
async def test_a_panels_query_gives_data_about_the_right_services(
    backends: Backends, title: str, target: dict[str, Any]
) -> None:
    check = EXPECTED[title]
    end = time.monotonic() + DEADLINE
    answer: Answer | BackendError = Answer([], [])
    while time.monotonic() < end:
        try:
            answer = await ASK[target["datasource"]["uid"]](backends, target)
        except BackendError as error:
            answer = error
        else:
            if check(answer):
                return
        await asyncio.sleep(1)
    pytest.fail(f"{title}: {answer}")


@pytest.mark.parametrize(
    ("title", "target"),
    [(title, target) for title, target in TARGETS if target.get("exemplar")],
    ids=[title for title, target in TARGETS if target.get("exemplar")],
)
async def test_the_dots_on_a_graph_lead_to_traces_that_jaeger_has(
    backends: Backends, title: str, target: dict[str, Any]
) -> None:
    async def known() -> bool:
        found = await backends.prometheus.exemplars(filled_in(target["expr"]))
        return any([await backends.jaeger.trace(one.trace_id) for one in found[:5]])

    await until(known, f"an exemplar of {title}")


async def test_a_trace_leads_to_the_lines_of_every_service_in_it(
    backends: Backends, trace_id: str
) -> None:
    query = link("jaeger")["tracesToLogsV2"]["query"]
    expression = query.replace("$${__trace.traceId}", trace_id)

    async def said() -> bool:
        answer = await ask_loki(backends, {"expr": expression})
        return answer.seen("service_name") >= EVERY - {"card_provider"}

    await until(said, f"lines of trace {trace_id}")


async def test_a_line_leads_to_its_trace(backends: Backends, trace_id: str) -> None:
    [derived] = link("loki")["derivedFields"]

    async def same() -> bool:
        target = {"expr": f'{{service_name="gateway"}} | trace_id="{trace_id}"'}
        answer = await ask_loki(backends, target)
        ids = answer.seen(derived["matcherRegex"])
        return ids == {trace_id} and await backends.jaeger.trace(ids.pop()) is not None

    await until(same, f"a line with trace id {trace_id}")


def link(uid: str) -> dict[str, Any]:
    text = (FOLDER / "provisioning/datasources/weft.yaml").read_text(encoding="utf-8")
    [data] = [one["jsonData"] for one in yaml.safe_load(text)["datasources"] if one["uid"] == uid]
    found: dict[str, Any] = data
    return found


async def until(ask: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            if await ask():
                return
        except BackendError:
            pass
        await asyncio.sleep(1)
    pytest.fail(f"not within {DEADLINE:g} s: {what}")
