"""A user's channel: everything, once, in order, at whichever replica the socket is."""

import asyncio
import random
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.reports import channel_store
from services.reports.channel import Update
from services.reports.channel_api import _hash
from tests.integration.channel.kit import PER_USER, Browser, Keys, Replica, until
from weft.postgres import Database
from weft.telemetry import record

Browsers = Callable[..., Browser]


async def test_every_socket_of_a_user_hears_a_message_at_both_replicas_and_nobody_else(
    replicas: list[Replica], browser: Browsers
) -> None:
    own = [browser("ann"), browser("ann"), browser("ann")]
    other = browser("eve")
    for one, replica in zip([*own, other], [*replicas, replicas[1], replicas[0]], strict=True):
        await one.open(replica.url)
    await replicas[0].tell("ann", "r1", {"rows": 3})
    await replicas[1].tell("eve", "r2")
    await until(lambda: all(one.heard for one in [*own, other]))
    for one in own:
        (told,) = one.heard
        assert told.keys() == {"seq", "type", "id", "at", "data", "traceparent"}
        assert (told["seq"], told["type"], told["id"]) == (1, "report.running", "r1")
        assert told["data"] == {"rows": 3}
    assert [told["id"] for told in other.heard] == ["r2"]


async def test_who_loses_the_connection_again_and_again_misses_nothing_and_sees_nothing_twice(
    replicas: list[Replica], browser: Browsers
) -> None:
    ann = browser("ann2")
    chance = random.Random(7)

    async def tell() -> None:
        for n in range(120):
            await chance.choice(replicas).tell("ann2", f"r{n}")

    telling = asyncio.create_task(tell())
    while not telling.done() or ann.last < 120:
        await ann.open(chance.choice(replicas).url)
        heard = len(ann.heard)
        await until(lambda heard=heard: len(ann.heard) > heard + 3 or ann.last == 120)
        await ann.cut()
    assert ann.seqs == list(range(1, 121))
    assert [told["id"] for told in ann.heard] == [f"r{n}" for n in range(120)]


async def test_who_does_not_say_how_far_it_is_hears_what_happens_from_now_on(
    replicas: list[Replica], keys: Keys
) -> None:
    await replicas[0].tell("new", "before")
    async with (
        aiohttp.ClientSession(headers=keys.header("new")) as session,
        session.ws_connect(replicas[0].url) as opened,
    ):
        await replicas[1].tell("new", "after")
        told = msgspec.json.decode((await opened.receive(30)).data)
    assert (told["seq"], told["id"]) == (2, "after")


async def test_numbers_have_no_gap_whatever_was_rolled_back_or_came_at_once(
    replicas: list[Replica],
) -> None:
    class Failed(Exception):
        pass

    async def fail() -> None:
        async with replicas[1].db.transaction() as tx:
            await replicas[1].channel.publish(tx, user="gap", type="t", id="x", data=None)
            raise Failed

    work = [replicas[n % 2].tell("gap", f"r{n}") for n in range(20)]
    work += [fail() for _ in range(5)]  # type: ignore[misc]
    done = await asyncio.gather(*work, return_exceptions=True)
    assert sorted(one for one in done if isinstance(one, int)) == list(range(1, 21))
    stored = await channel_store.after(replicas[0].db, "gap", 0, limit=100)
    assert [one.seq for one in stored] == list(range(1, 21))


async def test_what_the_fanout_lost_is_read_from_the_table_before_the_next_message(
    replicas: list[Replica], browser: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = replicas[0].hub

    def lossy(news: Any) -> None:
        if msgspec.json.decode(news.body, type=Update).seq not in (2, 3):
            hub.heard(news)

    monkeypatch.setattr(replicas[0], "heard", lossy)
    # The component was given the method itself.
    monkeypatch.setattr(replicas[0].fanout, "_heard", lossy)
    ann = browser("lossy")
    await ann.open(replicas[0].url)
    for n in range(1, 5):
        await replicas[1].tell("lossy", f"r{n}")
    await until(lambda: ann.last == 4)
    assert ann.seqs == [1, 2, 3, 4]


async def test_a_replica_that_did_not_hear_for_a_while_makes_it_good_by_itself(
    replicas: list[Replica], browser: Browsers
) -> None:
    deaf = replicas[0]
    ann = browser("deaf")
    await ann.open(deaf.url)
    await deaf.fanout.stop()
    for n in range(3):
        await replicas[1].tell("deaf", f"r{n}")
    await until(lambda: replicas[1].db.fetchval("SELECT count(*) = 0 FROM weft.outbox"))
    assert ann.heard == []
    deaf.fanout = deaf.new_fanout()
    await deaf.fanout.start()
    await until(lambda: ann.last == 3)
    assert ann.seqs == [1, 2, 3]


async def test_who_lacks_what_is_older_than_a_day_is_told_to_read_anew_and_goes_on(
    replicas: list[Replica], browser: Browsers
) -> None:
    for n in range(3):
        await replicas[0].tell("old", f"r{n}")
    await replicas[0].db.execute(
        "UPDATE channel_messages SET at = now() - interval '25 hours'"
        " WHERE subject = 'old' AND seq < 3"
    )
    await channel_store.delete_old(replicas[0].db)
    behind, near, beyond = browser("old"), browser("old"), browser("old")
    await behind.open(replicas[0].url, after=0)
    await near.open(replicas[0].url, after=2)
    await beyond.open(replicas[1].url, after=77)
    await until(lambda: behind.heard and near.heard and beyond.heard)
    assert behind.heard == beyond.heard == [{"type": "reset", "seq": 3}]
    assert near.seqs == [3]
    await replicas[1].tell("old", "next")
    await until(lambda: all(one.last == 4 for one in (behind, near, beyond)))


async def test_a_ticket_opens_one_socket_once_and_says_from_where(
    replicas: list[Replica], browser: Browsers, keys: Keys
) -> None:
    await replicas[0].tell("tic", "before")
    async with (
        aiohttp.ClientSession(headers=keys.header("tic")) as session,
        session.post(f"{replicas[0].url}/tickets") as response,
    ):
        assert response.status == 201
        ticket = await response.json()
    assert ticket["seq"] == 1
    await replicas[0].tell("tic", "between")
    first, second = browser(), browser()
    query = f"&ticket={ticket['ticket']}"
    await first.open(replicas[1].url, after=ticket["seq"], query=query)
    await until(lambda: first.heard)
    assert [told["id"] for told in first.heard] == ["between"]
    await second.open(replicas[0].url, query=query)
    assert await second.closed() == 4401


async def test_a_late_ticket_a_wrong_one_and_none_at_all_are_closed_with_4401(
    replicas: list[Replica], browser: Browsers
) -> None:
    db: Database = replicas[0].db
    await channel_store.add_ticket(db, _hash("late"), subject="a", until=2e9, seconds=-1)
    for query in ("&ticket=late", "&ticket=wrong", ""):
        stranger = browser()
        await stranger.open(replicas[0].url, query=query)
        assert await stranger.closed() == 4401
        assert stranger.heard == []


async def test_a_socket_ends_with_the_token_that_opened_it(
    replicas: list[Replica], browser: Browsers
) -> None:
    soon = time.time() + 0.2
    db = replicas[0].db
    await channel_store.add_ticket(db, _hash("brief"), subject="a", until=soon, seconds=30)
    ann = browser()
    await ann.open(replicas[0].url, query="&ticket=brief")
    assert await ann.closed() == 4401
    assert time.time() >= soon


async def test_one_socket_more_than_a_user_may_have_is_closed_with_4429(
    replicas: list[Replica], browser: Browsers
) -> None:
    own = [browser("many") for _ in range(PER_USER + 1)]
    for one in own:
        await one.open(replicas[0].url)
    assert await own[-1].closed() == 4429
    await own[0].close()
    again = browser("many")
    await replicas[0].tell("many", "r")

    async def let_in() -> bool:
        await again.open(replicas[0].url)
        await until(lambda: again.heard or again.code)
        return bool(again.heard)

    await until(let_in)


async def test_who_reads_too_slowly_is_dropped_and_holds_up_nobody(
    replicas: list[Replica], browser: Browsers, keys: Keys
) -> None:
    replica = replicas[0]
    quick = browser("slow")
    await quick.open(replica.url)
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(("127.0.0.1", replica.server.port))
        lazy.sendall(_handshake(replica.url, keys.header("slow")))
        await until(lambda: len(replica.hub._listeners["slow"]) == 2)
        sent = 0
        while len(replica.hub._listeners["slow"]) == 2:
            assert sent < 500, "nobody was dropped"
            sent = await replica.tell("slow", f"r{sent}", "x" * 48_000)
            await until(lambda sent=sent: quick.last == sent)
    assert quick.seqs == list(range(1, sent + 1))


def _handshake(url: str, headers: dict[str, str]) -> bytes:
    parts = urlsplit(url)
    lines = [
        f"GET {parts.path}?after=0 HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_a_message_is_a_span_of_the_trace_that_caused_it_and_so_is_its_way(
    replicas: list[Replica], browser: Browsers, spans: InMemorySpanExporter
) -> None:
    ann = browser("trace")
    await ann.open(replicas[1].url)

    def named(name: str) -> list[Any]:
        return [span for span in spans.get_finished_spans() if span.name == name]

    # The request has ended, and the socket is open.
    await until(lambda: named("GET /v1/updates"))
    with record.internal("cause") as cause:
        await replicas[0].tell("trace", "r1")
    await until(lambda: ann.heard)
    _, trace_id, span_id, _ = ann.heard[0]["traceparent"].split("-")
    assert trace_id == cause.trace_id
    await until(lambda: named("process reports.updates"))
    (sent,) = named("send /v1/updates")
    (processed,) = named("process reports.updates")
    (told,) = named("send reports.updates:update")
    assert f"{sent.context.span_id:016x}" == span_id
    assert sent.parent.span_id == processed.context.span_id
    assert processed.parent.span_id == told.context.span_id


async def test_a_replica_that_stops_says_so_and_the_next_one_goes_on(
    place: tuple[str, str], keys: Keys, replicas: list[Replica], browser: Browsers
) -> None:
    third = Replica(*place, keys)
    await third.start()
    ann = browser("drain")
    await ann.open(third.url)
    await third.tell("drain", "r1")
    await until(lambda: ann.last == 1)
    await third.stop()
    assert await ann.closed() == 1001
    await replicas[0].tell("drain", "r2")
    await ann.open(replicas[0].url)
    await until(lambda: ann.last == 2)
    assert ann.seqs == [1, 2]


async def test_what_is_no_websocket_gets_426_and_a_wrong_query_400(
    replicas: list[Replica], keys: Keys
) -> None:
    async with aiohttp.ClientSession(headers=keys.header("ann")) as session:
        for query, status in (("", 426), ("?after=-1", 400), ("?after=x", 400)):
            async with session.get(replicas[0].url + query) as response:
                assert response.status == status
