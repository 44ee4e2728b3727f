"""Webhooks from one service's database to a server that does what servers do."""

# ruff: noqa: PT012 - what must raise is the end of a transaction's block

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.backing import database
from tests.ports import free_url
from weft.http import HttpServer, Reply, Request, Routes
from weft.postgres import Database
from weft.settings import Secret
from weft.telemetry import record
from weft.webhooks import (
    InvalidWebhook,
    Schedule,
    Target,
    Webhooks,
    endpoints,
    first_receipt,
    operators,
    stored,
    verify,
)
from weft.webhooks.posting import Answer

SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
OLDER = Secret("whsec_" + "b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQg")
QUICK = Schedule((0.02, 0.02, 0.02, 0.02))
LATER = Schedule((3600.0,))
DEADLINE = 60.0


class Receiver:
    """A server that answers as told, and remembers what came and whether it was signed."""

    def __init__(self) -> None:
        self.statuses: list[int | Reply[Any]] = []
        self.came: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.at: list[float] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        routes = Routes()
        routes.raw("POST", "/hook", self._take, public=True)
        routes.raw("POST", "/elsewhere", self._take, public=True)
        self.server = HttpServer("receiver", routes, port=0, drain_timeout=0.1)

    async def _take(self, request: Request) -> Reply[Any]:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.headers.append(headers)
        self.at.append(time.monotonic())
        try:
            identity = verify([SECRET], headers, body)
        except InvalidWebhook:
            return Reply(None, 400)
        self.came.append((identity, msgspec.json.decode(body)))
        await self.go_on.wait()
        answer = self.statuses.pop(0) if self.statuses else 204
        return answer if isinstance(answer, Reply) else Reply(None, answer)

    @property
    def ids(self) -> list[str]:
        return [identity for identity, _ in self.came]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/hook"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiving = Receiver()
    await receiving.server.start()
    receiving.server.open()
    yield receiving
    receiving.go_on.set()
    await receiving.server.stop()


@pytest.fixture(scope="module")
async def whole_url(parts: dict[str, str]) -> AsyncIterator[str]:
    """One database for all: to make one takes longer than most of the tests."""
    async with database(parts) as url:
        yield url


@pytest.fixture
async def db(whole_url: str) -> AsyncIterator[Database]:
    opened = Database(whole_url)
    await opened.start()
    await opened.execute("CREATE TABLE IF NOT EXISTS effects (id text)")
    await opened.execute("TRUNCATE effects, weft.webhook_endpoints, weft.webhook_receipts CASCADE")
    yield opened
    await opened.stop()


@asynccontextmanager
async def sending(
    db: Database, url: str, *, schedule: Schedule = QUICK, **options: Any
) -> AsyncIterator[Webhooks]:
    target = Target(url, options.pop("secrets", [SECRET]), schedule)
    webhooks = Webhooks(db, {"far": target}, schedule=schedule, **options)
    await webhooks.start()
    try:
        yield webhooks
    finally:
        await webhooks.stop()


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    end = time.monotonic() + DEADLINE
    while not await condition():
        assert time.monotonic() < end, "the condition did not come true"
        await asyncio.sleep(0.01)


async def states(db: Database) -> list[tuple[str, int]]:
    rows = await db.fetch("SELECT state, attempts FROM weft.webhooks ORDER BY id")
    return [tuple(row) for row in rows]


async def settled(db: Database) -> bool:
    return bool(await db.fetchval("SELECT bool_and(state <> 'pending') FROM weft.webhooks"))


async def attempted(db: Database, times: int) -> bool:
    return bool(await db.fetchval("SELECT count(*) >= $1 FROM weft.webhook_attempts", times))


async def test_a_webhook_arrives_signed_with_type_time_and_data(
    db: Database, receiver: Receiver
) -> None:
    async with sending(db, receiver.url) as webhooks:
        await webhooks.send(db, "far", id="r1", type="report.finished", data={"rows": 3})
        await until(lambda: settled(db))
    ((identity, body),) = receiver.came
    assert identity == "r1"
    assert (body["type"], body["data"]) == ("report.finished", {"rows": 3})
    assert await states(db) == [("delivered", 1)]


async def test_what_was_rolled_back_is_never_sent(db: Database, receiver: Receiver) -> None:
    async with sending(db, receiver.url) as webhooks:
        with pytest.raises(RuntimeError):
            async with db.transaction() as tx:
                await webhooks.send(tx, "far", id="lost", type="t", data=None)
                raise RuntimeError
        await webhooks.send(db, "far", id="kept", type="t", data=None)
        await until(lambda: settled(db))
    assert receiver.ids == ["kept"]


async def test_during_a_rotation_who_knows_either_secret_is_content(
    db: Database, receiver: Receiver
) -> None:
    async with sending(db, receiver.url, secrets=[OLDER, SECRET]) as webhooks:
        await webhooks.send(db, "far", id="r1", type="t", data=None)
        await until(lambda: settled(db))
    assert await states(db) == [("delivered", 1)]


@pytest.mark.parametrize("status", [301, 307, 400, 404, 429, 500, 503])
async def test_anything_but_2xx_is_tried_again_with_the_same_id(
    db: Database, receiver: Receiver, status: int
) -> None:
    receiver.statuses = [Reply(None, status, {"Location": "/elsewhere"})]
    async with sending(db, receiver.url) as webhooks:
        await webhooks.send(db, "far", id="r1", type="t", data=None)
        await until(lambda: settled(db))
    assert receiver.ids == ["r1", "r1"]
    assert await states(db) == [("delivered", 2)]
    rows = await db.fetch("SELECT status FROM weft.webhook_attempts ORDER BY number")
    assert [row["status"] for row in rows] == [status, 204]


async def test_after_the_last_attempt_it_has_failed(db: Database, receiver: Receiver) -> None:
    receiver.statuses = [500] * 9
    async with sending(db, receiver.url) as webhooks:
        await webhooks.send(db, "far", id="r1", type="t", data=None)
        await until(lambda: settled(db))
    assert await states(db) == [("failed", 5)]


async def test_a_server_that_is_away_or_never_answers_is_a_failed_attempt(
    db: Database, receiver: Receiver
) -> None:
    receiver.go_on.clear()
    many = Schedule((0.02,) * 100)  # it may be long until it is seen that one was made
    async with sending(db, receiver.url, schedule=many, timeout=0.5) as webhooks:
        await webhooks.send(db, "far", id="r1", type="t", data=None)
        await until(lambda: attempted(db, 1))
        receiver.go_on.set()
        await until(lambda: settled(db))
    errors = await db.fetch("SELECT error FROM weft.webhook_attempts ORDER BY number")
    assert errors[0]["error"] == "no answer in time"
    assert (await states(db))[0][0] == "delivered"


async def test_attempts_go_to_the_instances_of_a_service_in_turn(
    db: Database, receiver: Receiver
) -> None:
    nobody = f"{free_url()}/hook"
    target = Target(nobody, [SECRET], QUICK, others=[receiver.url])
    webhooks = Webhooks(db, {"far": target})
    await webhooks.start()
    await webhooks.send(db, "far", id="m1", type="t", data=None)

    async def delivered() -> bool:
        return await states(db) == [("delivered", 2)]

    await until(delivered)
    assert receiver.ids == ["m1"]
    await webhooks.stop()


async def test_410_disables_the_endpoint_and_nothing_more_is_sent_there(
    db: Database, receiver: Receiver
) -> None:
    receiver.statuses = [410]
    async with sending(db, receiver.url, schedule=LATER) as webhooks:
        await webhooks.send(db, "far", id="r1", type="t", data=None)
        await until(lambda: settled(db))
        await webhooks.send(db, "far", id="r2", type="t", data=None)
    assert await states(db) == [("failed", 1)]
    assert await db.fetchval("SELECT disabled_why FROM weft.webhook_endpoints") == "it answered 410"


async def test_what_was_pending_for_an_endpoint_that_is_gone_has_failed(
    db: Database, receiver: Receiver
) -> None:
    receiver.statuses = [500, 410]
    async with sending(db, receiver.url, schedule=LATER) as webhooks:
        await webhooks.send(db, "far", id="r1", type="t", data=None)
        await until(lambda: attempted(db, 1))
        await webhooks.send(db, "far", id="r2", type="t", data=None)
        await until(lambda: settled(db))
    assert await states(db) == [("failed", 1), ("failed", 1)]


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(db: Database, receiver: Receiver, status: int) -> None:
    receiver.statuses = [Reply(None, status, {"Retry-After": "2000"})]
    async with sending(db, receiver.url) as webhooks:
        await webhooks.send(db, "far", id="r1", type="t", data=None)
        await until(lambda: attempted(db, 1))
        await until(
            lambda: db.fetchval(
                "SELECT next_attempt_at > now() + interval '1900 s' FROM weft.webhooks"
            )
        )


async def test_two_instances_share_the_work_and_send_each_once(
    whole_url: str, db: Database, receiver: Receiver
) -> None:
    other_db = Database(whole_url)
    await other_db.start()
    async with sending(db, receiver.url) as webhooks, sending(other_db, receiver.url):
        async with db.transaction() as tx:
            for n in range(60):
                await webhooks.send(tx, "far", id=f"r{n:02}", type="t", data=None)
        await until(lambda: settled(db))
    assert sorted(receiver.ids) == [f"r{n:02}" for n in range(60)]
    await other_db.stop()


async def test_a_webhook_whose_sender_died_is_sent_by_another_after_the_lease(
    db: Database, receiver: Receiver
) -> None:
    async with sending(db, receiver.url) as webhooks:
        pass
    await webhooks.send(db, "far", id="r1", type="t", data=None)
    (claimed,) = await stored.claim(db, {}, each=8, limit=8, lease=3600)
    assert await stored.claim(db, {}, each=8, limit=8, lease=3600) == []
    await db.execute("UPDATE weft.webhooks SET next_attempt_at = now()")
    async with sending(db, receiver.url):
        await until(lambda: settled(db))
    late = Answer(500)
    await stored.settle(db, claimed, late, state="pending", again_in=0, seconds=0)
    assert await states(db) == [("delivered", 2)]


async def test_a_slow_endpoint_holds_up_only_itself(db: Database, receiver: Receiver) -> None:
    slow = Receiver()
    await slow.server.start()
    slow.server.open()
    slow.go_on.clear()
    targets = {"slow": Target(slow.url, [SECRET]), "far": Target(receiver.url, [SECRET])}
    webhooks = Webhooks(db, targets)
    await webhooks.start()
    async with db.transaction() as tx:
        for n in range(100):
            await webhooks.send(tx, "slow", id=f"s{n}", type="t", data=None)
        await webhooks.send(tx, "far", id="quick", type="t", data=None)

    async def quick_came() -> bool:
        return receiver.ids == ["quick"]

    await until(quick_came)
    assert len(slow.came) <= 8
    slow.go_on.set()
    await webhooks.stop()
    await slow.server.stop()


async def test_at_the_end_what_is_under_way_is_finished_and_nothing_else_begins(
    db: Database, receiver: Receiver
) -> None:
    receiver.go_on.clear()
    async with sending(db, receiver.url) as webhooks:
        await webhooks.send(db, "far", id="r1", type="t", data=None)

        async def came() -> bool:
            return bool(receiver.came)

        await until(came)
        stopping = asyncio.create_task(webhooks.stop())
        await asyncio.sleep(0)
        await webhooks.send(db, "far", id="r2", type="t", data=None)
        receiver.go_on.set()
        await stopping
    assert await states(db) == [("delivered", 1), ("pending", 0)]


async def test_the_trace_of_the_cause_reaches_the_receiver(
    db: Database, receiver: Receiver, spans: InMemorySpanExporter
) -> None:
    receiver.statuses = [500]
    async with sending(db, receiver.url) as webhooks:
        with record.internal("cause") as cause:
            await webhooks.send(db, "far", id="r1", type="t", data=None)
        await until(lambda: settled(db))
    assert {headers["traceparent"].split("-")[1] for headers in receiver.headers} == {
        cause.trace_id
    }
    posts = [span for span in spans.get_finished_spans() if span.name == "POST /hook"]
    ours = [span for span in posts if span.kind.name == "CLIENT"]
    assert [dict(span.attributes or {}).get("http.request.resend_count") for span in ours] == [
        None,
        1,
    ]


async def test_a_customers_url_and_baggage_stay_out_of_telemetry_and_out_of_the_request(
    db: Database, receiver: Receiver, spans: InMemorySpanExporter
) -> None:
    async with sending(db, receiver.url, keys=lambda _: [SECRET], private=True) as webhooks:
        async with db.transaction() as tx:
            url = receiver.url + "?token=hidden"
            await endpoints.register(tx, "alice", url, ["order.*"], limit=5)
        with record.internal("cause"):
            await webhooks.tell(db, "alice", id="o1", type="order.confirmed", data={})
        await until(lambda: settled(db))
    assert receiver.ids == ["o1"]
    assert "baggage" not in receiver.headers[0]
    (post,) = [
        s for s in spans.get_finished_spans() if s.kind.name == "CLIENT" and s.name == "POST"
    ]
    assert "hidden" not in post.to_json()
    assert str(receiver.server.port) not in str(dict(post.attributes or {}).get("url.full", ""))


async def test_an_owner_hears_what_his_endpoints_asked_for_and_nobody_elses(
    db: Database, receiver: Receiver
) -> None:
    async with sending(db, receiver.url, keys=lambda _: [SECRET], private=True) as webhooks:
        async with db.transaction() as tx:
            await endpoints.register(tx, "alice", receiver.url, ["order.*"], limit=5)
            await endpoints.register(tx, "alice", receiver.url, ["report.finished"], limit=5)
            await endpoints.register(tx, "bob", receiver.url, ["order.*", "report.*"], limit=5)
        told = {
            kind: await webhooks.tell(db, "alice", id=kind, type=kind, data={})
            for kind in ("order.confirmed", "orders", "report.finished", "report.failed")
        }
        assert told == {"order.confirmed": 1, "orders": 0, "report.finished": 1, "report.failed": 0}
        await until(lambda: settled(db))
    assert sorted(receiver.ids) == ["order.confirmed", "report.finished"]


async def test_a_customers_url_that_leads_to_this_machine_is_not_called(
    db: Database, receiver: Receiver
) -> None:
    port = receiver.server.port
    urls = [f"https://127.0.0.1:{port}/hook", f"https://localhost:{port}/hook", receiver.url]
    async with sending(db, receiver.url, schedule=LATER, keys=lambda _: [SECRET]) as webhooks:
        async with db.transaction() as tx:
            for url in urls:
                await endpoints.register(tx, "alice", url, ["order.*"], limit=5)
        await webhooks.tell(db, "alice", id="o1", type="order.confirmed", data={})
        await until(lambda: attempted(db, 3))
    rows = await db.fetch("SELECT error FROM weft.webhook_attempts")
    assert sorted(row["error"] for row in rows) == [
        "its scheme must be https",
        "the address is not public",
        "the address is not public",
    ]
    assert receiver.headers == []


@pytest.mark.usefixtures("spans")
async def test_a_webhook_that_has_failed_is_listed_with_why_and_replayed_with_its_id(
    db: Database, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    connection = await db.connect()
    async with sending(db, receiver.url, schedule=Schedule(())) as webhooks:
        with record.internal("cause") as cause:
            await webhooks.send(db, "far", id="r1", type="t", data=None)
        await until(lambda: settled(db))
        (one,) = await operators.listed(connection, states=["failed"], limit=9)
        assert (one.id, one.endpoint, one.attempts, one.status) == ("r1", "far", 1, 500)
        assert one.trace_id == cause.trace_id
        assert await operators.listed(connection, states=["pending", "delivered"], limit=9) == []
        assert await operators.replay(connection, "far", force=False) == 1
        await until(lambda: settled(db))
    assert receiver.ids == ["r1", "r1"]
    assert await states(db) == [("delivered", 2)]
    await connection.close()


async def test_what_a_disabled_endpoint_lacks_is_replayed_by_force_alone(
    db: Database, receiver: Receiver
) -> None:
    receiver.statuses = [410]
    connection = await db.connect()
    async with sending(db, receiver.url) as webhooks:
        await webhooks.send(db, "far", id="r1", type="t", data=None)
        await until(lambda: settled(db))
        assert await operators.replay(connection, "r1", force=False) == 0
        assert await operators.replay(connection, "r1", force=True) == 1
        await until(lambda: settled(db))
    assert await states(db) == [("delivered", 2)]
    await connection.close()


async def test_a_replayed_webhook_has_no_second_effect(db: Database) -> None:
    async def take(source: str) -> bool:
        async with db.transaction() as tx:
            if not await first_receipt(tx, source=source, id="r1"):
                return False
            await tx.execute("INSERT INTO effects VALUES ('r1')")
            return True

    assert [await take("runner"), await take("runner"), await take("provider")] == [
        True,
        False,
        True,
    ]
    assert sorted(await asyncio.gather(*(take("twice") for _ in range(5)))) == [False] * 4 + [True]


async def test_a_receipt_whose_effect_failed_is_no_receipt(db: Database) -> None:
    with pytest.raises(RuntimeError):
        async with db.transaction() as tx:
            assert await first_receipt(tx, source="runner", id="r1")
            raise RuntimeError
    async with db.transaction() as tx:
        assert await first_receipt(tx, source="runner", id="r1")
