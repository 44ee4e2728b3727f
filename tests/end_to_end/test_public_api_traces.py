"""What a caller's trace context does, and what no signal and no table may keep."""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from stack.backends.connect import Backends, connect
from stack.system import System as Stack
from tests.end_to_end.outside import Door, Running, an_order
from weft.backends.trace import Trace

Caller = Callable[..., Door]


@pytest.fixture
async def backends(system: Running) -> AsyncIterator[Backends]:
    async with connect(Stack.load(system.environment)) as clients:
        yield clients


def foreign(flags: str = "01") -> tuple[str, dict[str, str]]:
    """Return a trace id and the headers of a caller who is in that trace."""
    trace_id = secrets.token_hex(16)
    return trace_id, {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"}


async def stored(backends: Backends, trace_id: str, seconds: float = 60) -> Trace:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        trace = await backends.jaeger.settled(trace_id, deadline=3)
        if trace is not None:
            return trace
    raise AssertionError(f"Jaeger has nothing of {trace_id}")


@pytest.mark.parametrize("flags", ["01", "00"])
async def test_an_authenticated_callers_trace_goes_on_whatever_its_sampling(
    caller: Caller, backends: Backends, flags: str
) -> None:
    trace_id, headers = foreign(flags)
    answer = await caller().get("/v1/products/SKU-0001", headers)
    assert answer.headers["x-trace-id"] == trace_id
    trace = await stored(backends, trace_id)
    assert {"gateway", "inventory"} <= {span.service for span in trace.spans}


async def test_a_strangers_trace_is_not_continued(stranger: Door) -> None:
    trace_id, headers = foreign()
    wrong = headers | {"Authorization": "Bearer x"}
    for path, sent in (("/openapi.json", headers), ("/v1/orders", headers), ("/v1/orders", wrong)):
        answer = await stranger.get(path, sent)
        assert answer.headers["x-trace-id"] not in (trace_id, "0" * 32)


@pytest.mark.parametrize(
    "traceparent",
    ["", "x", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01",
     f"ff-{'1' * 32}-{'1' * 16}-01", f"00-{'A' * 32}-{'1' * 16}-01", f"00-{'1' * 31}-{'1' * 16}-01",
     f"00-{'1' * 32}-{'1' * 16}-01-x", "00-" * 1000],
    ids=lambda text: text[:40],
)  # fmt: skip
async def test_a_broken_trace_context_begins_a_new_trace(caller: Caller, traceparent: str) -> None:
    answer = await caller().get("/v1/products?limit=1", {"traceparent": traceparent})
    assert answer.status == 200
    assert answer.headers["x-trace-id"] not in ("0" * 32, "1" * 32)


async def test_foreign_baggage_goes_no_further_and_tracestate_little(
    caller: Caller, backends: Backends
) -> None:
    trace_id, headers = foreign()
    mark = secrets.token_hex(8)
    headers |= {"baggage": f"user={mark}", "tracestate": ",".join(f"v{i}=x" for i in range(30))}
    door = caller()
    sku = await door.product(stock=1)
    answer = await door.place(an_order(sku), headers=headers)
    assert answer.headers["x-trace-id"] == trace_id
    order = await door.finished(answer.json["order_id"])
    assert order["trace_id"] == trace_id
    trace = await stored(backends, trace_id)
    assert mark not in repr(trace)


async def test_a_request_id_is_given_back_where_it_is_one(caller: Caller) -> None:
    door = caller()
    for given, kept in (("my-id_1.2", True), ("a" * 64, True), ("a" * 65, False), ("<x>", False)):
        answer = await door.get("/v1/products?limit=1", {"x-request-id": given})
        assert (answer.headers["x-request-id"] == given) is kept


async def test_probes_leave_no_span(stranger: Door) -> None:
    for path in ("/healthz", "/readyz"):
        assert set((await stranger.get(path)).headers["x-trace-id"]) == {"0"}


async def test_no_secret_stays_in_any_signal_table_or_file(
    system: Running, caller: Caller, backends: Backends
) -> None:
    door = caller()
    card = "tok_" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(20))
    began = time.time() - 60
    sku = await door.product(stock=9)
    answer = await door.place(an_order(sku, 1, card))
    assert (await door.finished(answer.json["order_id"]))["reason"] == "payment_declined"
    refused = [
        await door.place(an_order(sku, 1, card.upper())),
        await door.place(f'{{"payment": {{"token": "{card}"}}, "items": '.encode()),
        await door.get(f"/v1/orders?cursor={card}"),
        await Door(door._session, door.url, f"{door.token}x").get("/v1/orders"),
    ]
    assert {each.status for each in refused} == {400, 401, 422}
    assert door.token is not None
    secret = [card, card.upper(), door.token, door.token.rpartition(".")[2]]

    traces = [answer, *refused[:2], refused[3]]
    texts = [repr(await stored(backends, each.headers["x-trace-id"])) for each in traces]
    async with asyncio.timeout(60):
        while True:
            lines = await backends.loki.of_trace(
                answer.headers["x-trace-id"], since=began, until=time.time() + 1
            )
            if any(line.service == "payments" for line in lines):
                break
            await asyncio.sleep(0.25)
    texts.append(repr(lines))
    for each in secret[:3]:
        found = await backends.loki.call(
            "GET",
            "/loki/api/v1/query_range",
            params={
                "query": f'{{service_name=~".+"}} |= `{each[:60]}`',
                "start": str(int(began * 1e9)),
                "end": str(int((time.time() + 1) * 1e9)),
            },
        )
        assert json.loads(found.body)["data"]["result"] == []
    home = Path(system.environment["WEFT_HOME"])
    texts += _logs(home)
    texts += [await _tables(system.variables[name]) for name in DATABASES]
    secret += [each.encode().hex() for each in secret]
    for text in texts:
        assert not [each for each in secret if each in text]


DATABASES = [f"WEFT_{name}_DATABASE_URL" for name in ("ORDERS", "PAYMENTS", "INVENTORY")]


def _logs(home: Path) -> list[str]:
    """Return what is in log files and in spilled log records; these go once they are sent."""
    texts = []
    for path in home.rglob("*.log*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size < 200_000_000:
                texts.append(path.read_text(errors="replace"))
    assert texts
    return texts


async def _tables(url: str) -> str:
    """Return the rows of every table of a service as text, bytes as hex digits."""
    connection: Any = await asyncpg.connect(url)
    try:
        names = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        rows = [await connection.fetch(f"SELECT t::text FROM {each['name']} t") for each in names]
    finally:
        await connection.close()
    return repr(rows)
