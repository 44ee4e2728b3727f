"""The operators' pages of the whole system: what was stored is what they show."""

import asyncio
import re
import secrets
import uuid
from html import unescape
from typing import Any

import pytest

from tests.end_to_end.conftest import Caller
from tests.end_to_end.outside import Answer, Door, Running, an_order, is_problem

HTML = {"Accept": "text/html"}
SECONDS = 60


async def placed(buyer: Door) -> tuple[str, str]:
    """Return an order that came to its end, and its trace."""
    sku = await buyer.product(stock=5)
    answer = await buyer.place(an_order(sku))
    assert answer.status == 202, answer.body
    order_id = answer.json["order_id"]
    await buyer.finished(order_id)
    return order_id, answer.headers["x-trace-id"]


async def stored(operator: Door, trace_id: str) -> dict[str, Any]:
    """Return a trace once Jaeger has all of it and Loki its last log line."""
    async with asyncio.timeout(SECONDS):
        while True:
            answer = await operator.get(f"/ops/traces/{trace_id}")
            if answer.status == 200 and answer.json["whole"]:
                messages = [
                    line["message"] for span in answer.json["spans"] for line in span["logs"]
                ]
                if "order finished" in messages:
                    told: dict[str, Any] = answer.json
                    return told
            await asyncio.sleep(0.25)


async def html(operator: Door, path: str) -> str:
    answer: Answer = await operator.get(path, HTML)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.body.decode()


@pytest.fixture
def operator(caller: Caller) -> Door:
    return caller("operator", ["ops"])


async def test_an_orders_trace_has_its_spans_in_order_with_its_log_lines_between(
    caller: Caller, operator: Door
) -> None:
    order_id, trace_id = await placed(caller())
    told = await stored(operator, trace_id)
    assert {"gateway", "orders", "inventory", "payments", "card_provider"} <= set(told["services"])
    assert told["logs_missing"] is None
    assert len(told["spans"]) == told["span_count"]
    ids = [span["span_id"] for span in told["spans"]]
    for at, span in enumerate(told["spans"]):
        assert (span["parent_id"] is None) == (at == 0)
        assert at == 0 or span["parent_id"] in ids[:at], "parents come first"

    page = await html(operator, f"/ops/traces/{trace_id}")
    assert trace_id in page
    assert order_id in page
    way = (
        "gateway</span> <b>POST /v1/orders",
        "orders</span> <b>POST /v1/orders",
        "send weft.commands:ReserveStock",
        "inventory</span> <b>process inventory.commands",
        "send weft.commands:AuthorizePayment",
        "payments</span> <b>process payments.commands",
        "send weft.commands:CapturePayment",
        "send weft.commands:CommitStock",
    )
    places = [page.index(step) for step in way]
    assert places == sorted(places)
    assert page.count('<li class="span') == told["span_count"]
    messages = re.findall(r'class="message">([^<]*)<', page)
    assert {"request served", "message processed", "order finished"} <= set(messages)
    first, last = page.index('<li class="span'), page.rindex('<li class="span')
    assert first < page.index('<li class="log') < last


async def test_a_traces_log_lines_are_shown_by_themselves_oldest_first(
    caller: Caller, operator: Door
) -> None:
    _, trace_id = await placed(caller())
    await stored(operator, trace_id)
    told = (await operator.get(f"/ops/traces/{trace_id}/logs")).json
    times = [line["time"] for line in told["lines"]]
    assert times == sorted(times)
    assert {"gateway", "orders", "payments"} <= {line["service"] for line in told["lines"]}
    page = await html(operator, f"/ops/traces/{trace_id}/logs")
    assert page.count('<li class="log') == len(told["lines"])
    assert '<li class="span' not in page
    assert "order finished" in page


async def test_what_a_user_called_themselves_stays_text(caller: Caller, operator: Door) -> None:
    mark = secrets.token_hex(4)
    subject = f"<script>alert('{mark}')</script>\"><img src=x onerror=alert(1)>"
    order_id, trace_id = await placed(caller(subject))
    await stored(operator, trace_id)
    for path in (f"/ops/traces/{trace_id}", f"/ops/traces/{trace_id}/logs", "/ops"):
        page = await html(operator, path)
        assert order_id in page
        assert f"alert('{mark}')" in unescape(page), "the subject is shown"
        assert "<script" not in page
        assert "<img" not in page


async def test_the_newest_orders_of_all_users_and_every_services_health_are_shown(
    caller: Caller, operator: Door
) -> None:
    buyer = caller()
    order_id, trace_id = await placed(buyer)
    services = (
        "gateway",
        "orders",
        "inventory",
        "payments",
        "reports",
        "report_runner",
        "card_provider",
    )
    names = (*services, "jaeger", "loki")
    async with asyncio.timeout(SECONDS):  # a busy one may not say so within a second
        while True:
            told = (await operator.get("/ops")).json
            states = {each["name"]: each["state"] for each in told["services"]}
            if {name: states[name] for name in names} == dict.fromkeys(names, "ready"):
                break
            await asyncio.sleep(0.25)
    [order] = [each for each in told["orders"] if each["order_id"] == order_id]
    assert (order["subject"], order["status"]) == (buyer.subject, "confirmed")
    assert order["trace_id"] == trace_id

    page = await html(operator, "/ops")
    assert f'href="/ops/traces/{trace_id}"' in page
    assert order_id in page
    assert "postgres" in page


async def test_only_the_scope_opens_the_pages(caller: Caller, stranger: Door) -> None:
    for path in ("/ops", f"/ops/traces/{uuid.uuid4().hex}"):
        is_problem(await stranger.get(path), 401)
        is_problem(await caller().get(path), 403)


async def test_orders_tells_of_all_users_to_operators_alone_and_only_inside(
    system: Running, caller: Caller, operator: Door
) -> None:
    is_problem(await operator.get("/ops/orders"), 404)
    operator.url = system.url("orders")
    assert (await operator.get("/ops/orders?limit=1")).status == 200
    anybody = caller()
    anybody.url = system.url("orders")
    is_problem(await anybody.get("/ops/orders"), 403)


async def test_a_trace_that_nobody_has_is_not_found(operator: Door) -> None:
    path = f"/ops/traces/{uuid.uuid4().hex}"
    is_problem(await operator.get(path), 404)
    answer = await operator.get(path, HTML)
    assert answer.status == 404
    assert "no such trace" in answer.body.decode()


async def test_a_trace_is_looked_up_by_its_id(operator: Door) -> None:
    wanted = uuid.uuid4().hex
    answer = await operator.get(f"/ops/traces?id={wanted.upper()}")
    assert answer.status == 404, "followed to the trace's own page"
    assert "no such trace" in answer.json["detail"]
