"""The event log and the read models from outside: `weft events`, `weft projections`, the reader."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from stack.system import System as Stack
from tests.end_to_end.outside import Running

SECONDS = 60.0


@pytest.fixture(scope="module")
def order_id(system: Running) -> str:
    """A confirmed order."""
    done = system.weft("order", "--json", seconds=90)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["order_id"])


def reader_url(system: Running, database: str = "orders") -> str:
    credentials = Stack.load(system.environment).credentials
    parts = urlsplit(credentials.database_url("orders_reader", "orders"))
    return urlunsplit(parts._replace(path=f"/{database}"))


@pytest.fixture
async def reader(system: Running) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(reader_url(system))
    yield connection
    await connection.close()


def test_events_prints_the_stream_of_an_order(system: Running, order_id: str) -> None:
    done = system.weft("events", order_id)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"orders/{order_id}", "order, version 6"]
    assert [line.split()[0] for line in lines[2:8]] == ["1", "2", "3", "4", "5", "6"]
    assert "OrderPlaced" in lines[2]
    assert "OrderConfirmed" in lines[7]
    assert lines[8].startswith("see it: weft trace ")


def test_events_gives_programs_one_object_without_secrets(system: Running, order_id: str) -> None:
    told = json.loads(system.weft("events", f"orders/{order_id}", "--json").stdout)
    placed = told["events"][0]
    assert (told["service"], told["stream"], told["version"]) == ("orders", order_id, 6)
    assert placed["data"]["items"][0]["sku"] == "SKU-0001"
    payment = system.weft("events", f"payment-{placed['data']['payment_id']}", "--json")
    assert json.loads(payment.stdout)["service"] == "payments"
    assert "tok_" not in json.dumps(told) + payment.stdout


def test_a_stream_that_is_not_there_is_one_line_and_exit_code_1(system: Running) -> None:
    done = system.weft("events", "orders/nothing-of-the-kind")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "there is no stream nothing-of-the-kind in the event log of orders\n"


async def test_sales_are_rebuilt_while_the_system_runs(
    system: Running, order_id: str, reader: Any
) -> None:
    query = "SELECT sku, quantity FROM read_v1.sales WHERE order_id = $1"
    deadline = time.monotonic() + SECONDS
    while not (before := await reader.fetch(query, order_id)):
        assert time.monotonic() < deadline, "the order is not among the sales"
        await asyncio.sleep(0.1)
    [live] = json.loads((await told(system, "list", "--json")).stdout)
    assert (live["service"], live["name"], live["state"]) == ("orders", "sales", "live")
    done = await told(system, "rebuild", "sales", "--wait", str(SECONDS))
    assert done.returncode == 0, done.stderr
    generation = live["generation"] + 1
    assert done.stdout.splitlines()[-1] == f"orders/sales: generation {generation} is live"
    assert await reader.fetch(query, order_id) == before
    assert "sales" in (await told(system, "list")).stdout


async def test_a_projection_that_is_not_there_is_not_rebuilt(system: Running) -> None:
    done = await told(system, "rebuild", "orders/nothing")
    assert (done.returncode, done.stderr) == (1, "there is no projection nothing\n")


async def told(system: Running, *arguments: str) -> Any:
    return await asyncio.to_thread(system.weft, "projections", *arguments, seconds=SECONDS + 30)


async def test_the_reader_sees_an_order_and_its_events_and_nothing_of_whose_it_is(
    reader: Any, order_id: str
) -> None:
    order = await reader.fetchrow("SELECT * FROM read_v1.orders WHERE order_id = $1", order_id)
    assert (order["status"], order["currency"], order["synthetic"]) == ("confirmed", "EUR", False)
    assert "subject" not in order
    query = "SELECT * FROM read_v1.order_events WHERE order_id = $1 ORDER BY version"
    events = await reader.fetch(query, order_id)
    assert [event["version"] for event in events] == [1, 2, 3, 4, 5, 6]
    assert (events[0]["type"], events[-1]["type"]) == ("OrderPlaced", "OrderConfirmed")
    assert set(events[0].keys()) == {"order_id", "version", "type", "at"}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM orders",
        "SELECT * FROM payment_tokens",
        "SELECT * FROM sales",
        "SELECT * FROM weft.events",
        "DELETE FROM read_v1.sales",
        "CREATE TABLE public.mine (n int)",
        "CREATE TEMPORARY TABLE mine (n int)",
        "CREATE SCHEMA mine",
        "SET ROLE orders",
    ],
)
async def test_the_reader_may_do_nothing_but_read_the_views(reader: Any, statement: str) -> None:
    await reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(
        (asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError)
    ):
        await reader.execute(statement)


async def test_the_readers_statements_are_bounded_and_read_only_by_default(reader: Any) -> None:
    assert await reader.fetchval("SHOW default_transaction_read_only") == "on"
    assert await reader.fetchval("SHOW statement_timeout") == "5min"
    assert await reader.fetchval("SHOW idle_in_transaction_session_timeout") == "1min"
    limit = "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'orders_reader'"
    assert await reader.fetchval(limit) == 20


@pytest.mark.parametrize("database", ["inventory", "payments", "card_provider", "postgres"])
async def test_the_reader_may_connect_to_no_other_database(system: Running, database: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(reader_url(system, database))


async def test_a_report_is_read_with_a_cursor_and_by_copy(
    system: Running, order_id: str, reader: Any
) -> None:
    assert order_id
    variables = json.loads(system.weft("env", "--json").stdout)
    assert variables["WEFT_ORDERS_READER_DATABASE_URL"] == reader_url(system)
    async with reader.transaction():
        cursor = await reader.cursor("SELECT * FROM read_v1.sales_by_day ORDER BY day, sku")
        assert await cursor.fetch(10)
    chunks: list[bytes] = []

    async def take(chunk: bytes) -> None:
        chunks.append(chunk)

    await reader.copy_from_query("SELECT * FROM read_v1.sales", output=take, format="csv")
    assert order_id.encode() in b"".join(chunks)
