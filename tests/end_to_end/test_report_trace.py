"""A report through the whole running system: made from real orders, in one trace."""

import asyncio
import csv
import io
import time
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stack.backends.connect import Backends, connect
from stack.system import System as Stack
from tests.end_to_end.outside import Door, Running, an_order
from weft.backends.trace import Span, Trace

Caller = Callable[..., Door]
SCOPES = ("orders:read", "orders:write", "inventory:write", "reports:read", "reports:write")
SECONDS = 60.0


@pytest.fixture
async def backends(system: Running) -> AsyncIterator[Backends]:
    async with connect(Stack.load(system.environment), connections=20) as clients:
        yield clients


async def made(door: Door, report_id: str) -> dict[str, Any]:
    """Return the report once it has ended."""
    async with asyncio.timeout(SECONDS):
        while True:
            report: dict[str, Any] = (await door.get(f"/v1/reports/{report_id}")).json
            if report["status"] not in ("queued", "running"):
                return report
            await asyncio.sleep(0.1)


async def sold(door: Door, sku: str) -> bytes:
    """Return a report of today, as CSV, that has the product: sales follow a moment later."""
    today = datetime.now(UTC).date()
    body = {"kind": "sales", "from": str(today - timedelta(days=1)), "format": "csv"}
    body |= {"to": str(today + timedelta(days=2)), "priority": 9}
    async with asyncio.timeout(SECONDS):
        while True:
            headers = {"Idempotency-Key": str(uuid.uuid4())}
            asked = await door.ask("POST", "/v1/reports", body, headers)
            assert asked.status == 202, asked.body
            report = await made(door, asked.json["report_id"])
            if report["status"] == "finished":
                fetched = await door.get(report["links"]["download"])
                assert fetched.status == 200
                if sku.encode() in fetched.body:
                    return fetched.body


async def test_a_report_has_what_was_ordered(caller: Caller) -> None:
    door = caller(scopes=SCOPES)
    sku = await door.product(stock=9, amount="3.25")
    placed = await door.place(an_order(sku, 3))
    assert (await door.finished(placed.json["order_id"]))["status"] == "confirmed"
    rows = list(csv.DictReader(io.StringIO((await sold(door, sku)).decode())))
    sales = [(row["quantity"], row["revenue"]) for row in rows if row["sku"] == sku]
    assert [pair for pair in sales if pair[0] not in ("", "0")] == [("3", "9.75")]


async def test_a_report_is_one_trace_from_the_door_to_the_users_channel(
    caller: Caller, backends: Backends
) -> None:
    door = caller(scopes=SCOPES)
    sku = await door.product(stock=9)
    placed = await door.place(an_order(sku))
    await door.finished(placed.json["order_id"])
    await sold(door, sku)
    [report] = (await door.get("/v1/reports?limit=1")).json["reports"]
    missing, end = "it is not there", time.monotonic() + SECONDS
    while time.monotonic() < end:
        trace = await backends.jaeger.settled(report["trace_id"], deadline=5)
        try:
            if trace is not None:
                check_hops(trace)
                return
        except AssertionError as error:
            missing = str(error)
        await asyncio.sleep(0.25)
    pytest.fail(missing)


def check_hops(trace: Trace) -> None:
    assert trace.orphans == []
    [root] = trace.roots
    assert (root.service, root.kind, root.name) == ("gateway", "server", "POST /v1/reports")
    asked = one(trace, "server", "reports", http__route="/v1/reports")
    assert below(trace, asked, root)
    assert statements(trace, asked)
    command = one(trace, "producer", "reports", weft__message__type="RunReport")
    assert command.parent_id == asked.span_id
    claimed = one(trace, "consumer", "report_runner", weft__message__type="RunReport")
    assert claimed.parent_id == command.span_id
    [run] = [span for span in trace.spans if span.name == "run report"]
    assert run.parent_id == claimed.span_id
    for name in ("extract", "transform", "put artifact"):
        assert any(span.name == name and below(trace, span, run) for span in trace.spans), name
    assert any(statements(trace, span) for span in trace.spans if span.name == "extract")
    posted = one(trace, "client", "report_runner", url__template="/webhooks/report-runner")
    assert below(trace, posted, run)
    heard = one(trace, "server", "reports", http__route="/webhooks/report-runner")
    assert heard.parent_id == posted.span_id
    assert statements(trace, heard)
    told = {
        str(span.attributes["weft.message.type"])
        for span in trace.spans
        if span.kind == "producer" and span.parent_id == heard.span_id
    }
    assert told == {"report.finished", "channel.update"}


def one(trace: Trace, kind: str, service: str, **wanted: str) -> Span:
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


def below(trace: Trace, span: Span, above: Span) -> bool:
    spans = {each.span_id: each for each in trace.spans}
    at: Span | None = span
    while at is not None and at.span_id != above.span_id:
        at = spans.get(at.parent_id or "")
    return at is not None


def statements(trace: Trace, parent: Span) -> list[Span]:
    return [
        span
        for span in trace.spans
        if span.parent_id == parent.span_id
        and span.attributes.get("db.system.name") == "postgresql"
    ]
