"""An order through the whole running system, and what Jaeger, Loki and Prometheus know of it."""

import asyncio
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

import pytest

from stack.backends.connect import Backends, connect
from stack.backends.gateway import Order, Placed
from stack.backends.http import BackendError
from stack.supervisor import Supervisor
from stack.system import System as Stack
from weft.backends.loki import LogLine
from weft.backends.trace import Span, Trace

SCOPES = ("orders:read", "orders:write", "inventory:write")
SERVICES = ("gateway", "orders", "inventory", "payments")
LONGER_THAN_AN_EXPORT = 7.0
MANY = int(os.environ.get("WEFT_TEST_ORDERS", "200"))
"""Orders at once: 200, 400, ... 1000."""
T = TypeVar("T")


class Running(Protocol):
    environment: dict[str, str]

    def weft(self, *arguments: str, seconds: float = 100) -> Any: ...


@pytest.fixture
async def backends(system: Running) -> AsyncIterator[Backends]:
    async with connect(Stack.load(system.environment), connections=200) as clients:
        yield clients


@pytest.fixture
async def sku(backends: Backends) -> str:
    """A product of this test's own, with 1000 in stock."""
    name = f"E2E-{secrets.token_hex(6)}"
    product = {"name": "test", "price": {"amount": "2.50", "currency": "EUR"}, "stock": 1000}
    gateway = backends.gateway("e2e", SCOPES)
    answer = await gateway.call(
        "PUT", f"/v1/products/{name}", headers=gateway._headers, json=product
    )
    assert answer.status == 201, answer.body
    return name


async def eventually(ask: Callable[[], Awaitable[T | None]], what: str, seconds: float = 60) -> T:
    """Ask until there is an answer that is true; a backend may be away meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(BackendError):
            if answer := await ask():
                return answer
        await asyncio.sleep(0.25)
    raise AssertionError(f"not within {seconds} s: {what}")


async def ordered(backends: Backends, sku: str, subject: str = "e2e") -> tuple[Order, str]:
    """Place an order and return it in its last state, with the trace that it was placed in."""
    gateway = backends.gateway(subject, SCOPES)
    placed = await gateway.place(sku, 1, "tok_ok")
    states = [state async for state in gateway.follow(placed.order_id, deadline=60)]
    assert states, "the order was never seen"
    return states[-1], placed.trace_id


async def whole_trace(backends: Backends, trace_id: str, seconds: float = 60) -> Trace:
    """Wait until Jaeger has a confirmed order's trace with every hop, one root and no orphan."""
    missing = "it is not there"

    async def look() -> Trace | None:
        nonlocal missing
        trace = await backends.jaeger.settled(trace_id, deadline=5)
        if trace is None:
            return None
        try:
            assert trace.orphans == []
            check_hops(trace)
        except AssertionError as error:
            missing = str(error)
            return None
        return trace

    try:
        return await eventually(look, "", seconds)
    except AssertionError:
        raise AssertionError(f"trace {trace_id} after {seconds} s: {missing}") from None


def only(trace: Trace, kind: str, service: str, **wanted: str) -> Span:
    """Return the one span of that kind and service with these attributes."""
    attributes = {key.replace("__", "."): value for key, value in wanted.items()}
    found = [
        span
        for span in trace.spans
        if (span.kind, span.service) == (kind, service)
        and attributes.items() <= {k: str(v) for k, v in span.attributes.items()}.items()
    ]
    assert len(found) == 1, f"{kind} of {service} with {attributes}: {len(found)} spans"
    return found[0]


def sent_by(trace: Trace, parent: Span, message: str) -> Span:
    send = only(trace, "producer", parent.service, weft__message__type=message)
    assert send.parent_id == parent.span_id, f"{message} is not sent by {parent.name}"
    return send


def handled(trace: Trace, send: Span, service: str) -> Span:
    message = str(send.attributes["weft.message.type"])
    process = only(trace, "consumer", service, weft__message__type=message)
    assert process.parent_id == send.span_id
    assert process.links == [send.span_id], "a process span is linked to the creation context too"
    return process


def statements(trace: Trace, parent: Span) -> list[Span]:
    return [
        span
        for span in trace.spans
        if span.parent_id == parent.span_id
        and span.kind == "client"
        and span.attributes.get("db.system.name") == "postgresql"
    ]


def check_hops(trace: Trace) -> None:
    """Every hop of a confirmed order, from the door to the saga's end, under the right parent."""
    [root] = trace.roots
    assert (root.service, root.kind, root.name) == ("gateway", "server", "POST /v1/orders")
    door = only(trace, "client", "gateway")
    assert door.parent_id == root.span_id
    orders = only(trace, "server", "orders")
    assert orders.parent_id == door.span_id
    assert statements(trace, orders)

    step = handled(trace, sent_by(trace, orders, "ReserveStock"), "inventory")
    assert statements(trace, step)
    step = handled(trace, sent_by(trace, step, "stock.reserved"), "orders")
    assert statements(trace, step)
    step = handled(trace, sent_by(trace, step, "AuthorizePayment"), "payments")
    assert statements(trace, step)
    check_provider(trace, step, "/v1/authorizations")
    step = handled(trace, sent_by(trace, step, "payment.authorized"), "orders")
    step = handled(trace, sent_by(trace, step, "CapturePayment"), "payments")
    check_provider(trace, step, "/v1/authorizations/{payment_id}/capture")
    step = handled(trace, sent_by(trace, step, "payment.captured"), "orders")
    step = handled(trace, sent_by(trace, step, "CommitStock"), "inventory")
    step = handled(trace, sent_by(trace, step, "stock.committed"), "orders")
    sent_by(trace, step, "order.confirmed")


def check_provider(trace: Trace, step: Span, route: str) -> None:
    call = only(trace, "client", "payments", url__template=route)
    assert call.parent_id == step.span_id
    served = only(trace, "server", "card_provider", http__route=route)
    assert served.parent_id == call.span_id
    assert statements(trace, served)


async def logged_by_all(backends: Backends, trace: Trace) -> list[LogLine] | None:
    """Return the lines with the trace's id once every service has written one."""
    since, until = trace.start - 60, trace.end + 60
    lines = await backends.loki.of_trace(trace.trace_id, since=since, until=until)
    return lines if {line.service for line in lines} >= set(SERVICES) else None


async def confirmed(backends: Backends) -> float:
    """Return how many orders were confirmed, as Prometheus counts them."""
    samples = await backends.prometheus.query('sum(weft_orders_total{outcome="confirmed"})')
    return samples[0].value if samples else 0.0


async def test_an_order_is_one_whole_trace_with_every_hop_under_its_parent(
    backends: Backends, sku: str
) -> None:
    order, trace_id = await ordered(backends, sku)
    assert order.status == "confirmed"
    assert order.trace_id == trace_id
    trace = await whole_trace(backends, trace_id)
    assert len(trace.spans) >= 12
    assert set(trace.services) >= set(SERVICES)
    assert [span for span in trace.spans if span.error] == []


async def test_the_log_lines_of_an_order_have_its_trace_and_their_spans(
    backends: Backends, sku: str
) -> None:
    _, trace_id = await ordered(backends, sku)
    trace = await whole_trace(backends, trace_id)
    spans = {span.span_id for span in trace.spans}

    lines = await eventually(partial(logged_by_all, backends, trace), "lines of all services")
    assert {line.span_id for line in lines} <= spans


@pytest.mark.parametrize(
    ("metric", "services"),
    [
        ("http_server_request_duration_seconds", SERVICES[:2]),
        ("http_client_request_duration_seconds", ("gateway", "payments")),
        ("db_client_operation_duration_seconds", SERVICES[1:]),
        ("messaging_process_duration_seconds", SERVICES[1:]),
        ("messaging_client_operation_duration_seconds", SERVICES[1:]),
    ],
)
async def test_prometheus_has_the_metric_with_exemplars_that_jaeger_knows(
    backends: Backends, sku: str, metric: str, services: tuple[str, ...]
) -> None:
    await ordered(backends, sku)

    async def counted() -> bool:
        samples = await backends.prometheus.query(f"sum by (service_name) ({metric}_count) > 0")
        return {sample.labels.get("service_name") for sample in samples} >= set(services)

    async def known() -> Trace | None:
        exemplars = await backends.prometheus.exemplars(f"{metric}_bucket")
        for exemplar in exemplars[:20]:
            if trace := await backends.jaeger.trace(exemplar.trace_id):
                return trace
        return None

    await eventually(counted, f"{metric} of {services}")
    await eventually(known, f"an exemplar of {metric} whose trace Jaeger has")


@pytest.mark.alone
async def test_finished_orders_are_counted_by_outcome(backends: Backends, sku: str) -> None:
    before = await confirmed(backends)
    await ordered(backends, sku)

    async def more() -> bool:
        return await confirmed(backends) > before

    await eventually(more, "one more confirmed order")


@pytest.mark.parametrize("service", SERVICES)
async def test_jaeger_computes_latencies_of_every_service(
    backends: Backends, sku: str, service: str
) -> None:
    kind = "server" if service in ("gateway", "orders") else "consumer"

    async def look() -> bool:
        await ordered(backends, sku)
        points = await backends.jaeger.latencies(service, kind=kind)
        return any(point.value for point in points)

    await eventually(look, f"latencies of {service}", 60)


@pytest.mark.alone
@pytest.mark.timeout(300 + MANY)
async def test_many_orders_at_once_are_as_many_whole_traces_and_the_stock_adds_up(
    backends: Backends, sku: str
) -> None:
    users = [backends.gateway(f"e2e-{secrets.token_hex(6)}", SCOPES) for _ in range(MANY // 200)]
    door = asyncio.Semaphore(40)  # on a busy machine the last of 200 would wait for too long

    async def place(number: int) -> Placed:
        async with door:
            return await users[number % len(users)].place(sku, 1, "tok_ok")

    placed = await asyncio.gather(*map(place, range(MANY)))

    async def outcomes() -> Counter[str] | None:
        counted: Counter[str] = Counter()
        for user in users:
            answer = await user.call("GET", "/v1/orders?limit=200", headers=user._headers)
            counted += Counter(order["status"] for order in json.loads(answer.body)["orders"])
        return None if counted["pending"] else counted

    assert await eventually(outcomes, "the end of all orders", 90 + MANY) == {"confirmed": MANY}
    trace_ids = {one.trace_id for one in placed}
    assert len(trace_ids) == MANY

    product = await users[0].product(sku)
    assert (product.stock, product.reserved) == (1000 - MANY, 0)

    few = asyncio.Semaphore(4)

    async def check(trace_id: str) -> None:
        async with few:
            trace = await whole_trace(backends, trace_id, 60)
        assert [span for span in trace.spans if span.error] == []

    await asyncio.gather(*(check(trace_id) for trace_id in trace_ids))


@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", ["otel-collector", "jaeger", "loki", "prometheus"])
async def test_orders_go_on_without_a_telemetry_part_and_nothing_is_lost(
    backends: Backends, sku: str, part: str
) -> None:
    supervisor = Supervisor(backends.system.home)
    before = await confirmed(backends)
    began = time.time()
    await asyncio.to_thread(supervisor.stop, [part])
    done = []
    try:
        while len(done) < 3 or time.time() < began + LONGER_THAN_AN_EXPORT:
            done.append(await ordered(backends, sku))
    finally:
        ended = time.time()
        await asyncio.to_thread(supervisor._call, "supervisor.startProcess", part)
    assert {order.status for order, _ in done} == {"confirmed"}

    for _, trace_id in (done[0], done[-1]):
        trace = await whole_trace(backends, trace_id, 60)
        await eventually(partial(logged_by_all, backends, trace), "log lines of all services", 60)

    async def all_counted() -> bool:
        return await confirmed(backends) >= before + len(done)

    async def counted_meanwhile() -> bool:
        span = f"[{ended - began:.0f}s] @ {ended:.3f}"
        return bool(await backends.prometheus.query(f"count_over_time(weft_orders_total{span})"))

    await eventually(all_counted, "the orders in the counter", 60)
    if part != "otel-collector":  # without it the services keep totals, not their points in time
        await eventually(counted_meanwhile, "the points of the time without it", 60)


async def test_the_commands_show_an_order_its_trace_and_its_log_lines(system: Running) -> None:
    done = await asyncio.to_thread(system.weft, "order", "--sku", "SKU-0002", "--json")
    assert done.returncode == 0, done.stderr
    order = json.loads(done.stdout)
    assert order["status"] == "confirmed"
    assert [event["type"] for event in order["events"]][-1] == "OrderConfirmed"

    async def shown() -> bool:
        done = await asyncio.to_thread(system.weft, "trace", order["order_id"])
        assert done.returncode == 0, done.stderr
        assert order["trace_id"] in done.stdout
        wanted = (*SERVICES, "card_provider", "· order finished")
        return all(each in done.stdout for each in wanted)

    await eventually(shown, f"{order['trace_id']} with all services and the line of its end")

    served = ("--route", "/v1/orders", "--status", "202")
    # Other tests place orders meanwhile.
    listed = await asyncio.to_thread(system.weft, "traces", *served, "--limit", "100", "--json")
    assert order["trace_id"] in {trace["trace_id"] for trace in json.loads(listed.stdout)}

    found = await asyncio.to_thread(
        system.weft, "search", "order finished", "--order", order["order_id"], "--json"
    )
    [line] = [json.loads(row) for row in found.stdout.splitlines()]
    assert line["service"] == "orders"
    assert line["facts"]["weft_order_outcome"] == "confirmed"
    assert line["trace_id"] == order["trace_id"]
