"""Dead letters in an operator's hands, on the real broker: nothing is lost on the way."""

import asyncio
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from stack.backing.rabbitmq import definitions
from stack.credentials import OPERATOR
from tests.integration.messaging.kit import Collected, Rabbit, Wire, caused, named, ping, until
from weft.errors import Unavailable
from weft.ids import uuid7
from weft.messaging import Broker, Consumer, Incoming, Publisher, Unroutable
from weft.messaging.copies import dead
from weft.messaging.dead_letters import DeadLetters, opened
from weft.messaging.delivery import received
from weft.messaging.errors import Rejected
from weft.messaging.letters import Letter
from weft.messaging.topology import DELIVERY_LIMIT

Connect = Callable[..., Awaitable[Broker]]
QUEUE = "shop.commands"


def every(_: Letter) -> bool:
    return True


@pytest.fixture
async def letters(broker_url: str) -> AsyncIterator[DeadLetters]:
    async with opened(broker_url) as opening:
        yield opening


async def bury(broker: Broker, count: int, error: Exception | None = None) -> list[str]:
    """Put messages into the dead-letter queue as a consumer would; return their identities."""
    queue = broker.queue(QUEUE)
    messages = [ping(number) for number in range(count)]
    dying = [
        Incoming(
            id=one.id,
            type=one.type,
            version=one.version,
            body=one.body,
            headers=one.headers,
            correlation_id=one.correlation_id,
            reply_to=None,
            attempt=4,
            redelivered=False,
            queue=QUEUE,
            exchange=one.exchange,
            routing_key=one.routing_key,
            at=one.at,
        )
        for one in messages
    ]
    reason = error or ValueError("no stock left")
    copies = [dead(one, queue, reason) for one in dying]
    assert await Publisher(broker).publish_batch(copies, traced=False) == [None] * count
    return [one.id for one in messages]


async def read(letters: DeadLetters, limit: int = 1000) -> list[Letter]:
    return [found async for found, _ in letters.read(QUEUE, limit)]


async def ready(rabbit: Rabbit, queue: str, count: int) -> None:
    async def there() -> bool:
        return await rabbit.ready(queue) == count

    await until(there)


async def test_a_letter_says_why_it_is_dead_and_stays_where_it_is(
    connect: Connect, letters: DeadLetters, rabbit: Rabbit
) -> None:
    identities = await bury(await connect(), 3)
    found = await read(letters)
    assert [one.id for one in found] == identities
    assert {one.group for one in found} == {found[0].group}
    first = found[0]
    assert (first.queue, first.type, first.correlation_id) == (QUEUE, "Ping.v1", "c-0")
    assert (first.reason, first.error_type, first.error) == (
        "attempts",
        "ValueError",
        "no stock left",
    )
    assert (first.attempts, first.replays) == (4, 0)
    assert first.failed_at is not None
    await ready(rabbit, f"{QUEUE}.dead", 3)
    assert [one.id for one in await read(letters)] == identities


async def test_a_letter_that_is_looked_at_more_often_than_any_delivery_limit_is_still_there(
    connect: Connect, letters: DeadLetters
) -> None:
    (identity,) = await bury(await connect(), 1)
    for _ in range(DELIVERY_LIMIT + 5):
        assert [one.id for one in await read(letters)] == [identity]


async def test_letters_are_there_in_their_order_for_whoever_looks_next(
    connect: Connect, letters: DeadLetters
) -> None:
    identities = await bury(await connect(), 12)
    for _ in range(4):
        assert [one.id for one in await read(letters)] == identities
    await letters.drop(QUEUE, lambda one: one.id == identities[5], limit=1000)
    assert [one.id for one in await read(letters)] == identities[:5] + identities[6:]


async def test_a_replayed_letter_is_a_first_attempt_with_its_identity_and_its_trace(
    connect: Connect,
    letters: DeadLetters,
    collected: Collected,
    rabbit: Rabbit,
    spans: InMemorySpanExporter,
) -> None:
    broker = await connect()
    collected.raises = lambda _: ValueError("no") if len(collected.messages) <= 4 else None
    consumer = Consumer(broker, QUEUE, collected)
    await consumer.start()
    message, trace_id = caused()
    await Publisher(broker).publish(message)
    await ready(rabbit, f"{QUEUE}.dead", 1)

    done = await letters.replay(QUEUE, every, limit=10, remembered=every)
    assert [one.id for one in done.letters] == [message.id]
    assert done.letters[0].trace_id == trace_id
    await until(lambda: len(collected.messages) == 5)
    await until(lambda: len(named(spans, f"ack {QUEUE}")) == 5)
    await consumer.stop()
    assert await rabbit.ready(f"{QUEUE}.dead") == 0
    assert {m.id for m in collected.messages} == {message.id}
    assert collected.attempts == [1, 2, 3, 4, 1]
    last = collected.messages[-1]
    assert (last.exchange, last.routing_key) == ("weft.commands", "Ping")
    assert not {key for key in last.headers if key.startswith("x-weft-")} - {
        "x-weft-exchange",
        "x-weft-routing-key",
        "x-weft-replays",
    }

    (first,) = named(spans, "send weft.commands:Ping")
    (again,) = named(spans, f"send shop.direct:{QUEUE}")
    handled = named(spans, f"process {QUEUE}")[-1]
    assert first.context is not None
    assert again.context is not None
    assert f"{again.context.trace_id:032x}" == trace_id
    assert [link.context.span_id for link in again.links] == [first.context.span_id]
    assert handled.parent is not None
    assert handled.parent.span_id == again.context.span_id


async def test_a_letter_that_dies_again_counts_its_replays_and_is_not_replayed_for_ever(
    connect: Connect, letters: DeadLetters, collected: Collected, rabbit: Rabbit
) -> None:
    broker = await connect(delays=())
    collected.raises = lambda _: ValueError("still no")
    consumer = Consumer(broker, QUEUE, collected)
    await consumer.start()
    await bury(broker, 5)
    for replays in (1, 2):
        done = await letters.replay(QUEUE, every, limit=1000, remembered=every)
        assert len(done.letters) == 5
        await ready(rabbit, f"{QUEUE}.dead", 5)
        assert {one.replays for one in await read(letters)} == {replays}
    await consumer.stop()


async def test_only_the_letters_that_are_wanted_are_replayed_or_dropped(
    connect: Connect, letters: DeadLetters, rabbit: Rabbit
) -> None:
    broker = await connect()
    one, two, three = await bury(broker, 3)
    others = await bury(broker, 2, KeyError("sku"))
    done = await letters.replay(QUEUE, lambda x: x.id == two, limit=10, remembered=every)
    assert [x.id for x in done.letters] == [two]
    assert await rabbit.take_all(QUEUE) == [two]
    dropped = await letters.drop(QUEUE, lambda x: x.error_type == "KeyError", limit=10)
    assert [x.id for x in dropped.letters] == others
    assert [x.id for x in await read(letters)] == [one, three]


async def test_no_more_letters_than_the_limit_are_touched(
    connect: Connect, letters: DeadLetters, rabbit: Rabbit
) -> None:
    identities = await bury(await connect(), 6)
    assert [one.id for one in await read(letters, 2)] == identities[:2]
    done = await letters.drop(QUEUE, every, limit=2)
    assert [one.id for one in done.letters] == identities[:2]
    await letters.replay(QUEUE, every, limit=1, remembered=every)
    assert await rabbit.take_all(f"{QUEUE}.dead") == identities[3:]


async def test_what_the_inbox_may_have_forgotten_is_refused_and_with_force_is_a_new_message(
    connect: Connect, letters: DeadLetters, rabbit: Rabbit
) -> None:
    (identity,) = await bury(await connect(), 1)
    forgotten: Any = {"limit": 10, "remembered": lambda _: False}
    done = await letters.replay(QUEUE, every, **forgotten)
    assert ([one.id for one in done.refused], done.letters) == ([identity], [])
    assert [one.id for one in await read(letters)] == [identity]
    done = await letters.replay(QUEUE, every, **forgotten, force=True)
    assert (done.refused, len(done.letters)) == ([], 1)
    copy = received(await rabbit.take(QUEUE), QUEUE)
    assert copy.id != identity
    assert copy.headers["x-weft-replay-of"] == identity


async def test_a_queue_that_is_gone_or_full_takes_no_replay_and_no_letter_is_lost(
    connect: Connect, letters: DeadLetters, rabbit: Rabbit
) -> None:
    broker = await connect(max_length=5)
    identities = await bury(broker, 4)

    async def full() -> bool:
        (outcome,) = await Publisher(broker).publish_batch([ping()])
        return isinstance(outcome, Rejected)

    await until(full)
    done = await letters.replay(QUEUE, every, limit=10, remembered=every)
    assert (type(done.stopped), done.letters) == (Rejected, [])
    await rabbit.api("DELETE", f"queues/{rabbit.vhost}/{QUEUE}")
    done = await letters.replay(QUEUE, every, limit=10, remembered=every)
    assert (type(done.stopped), done.letters) == (Unroutable, [])
    assert [one.id for one in await read(letters)] == identities


async def test_a_connection_lost_in_the_middle_of_a_replay_loses_nothing(
    connect: Connect, letters: DeadLetters, rabbit: Rabbit, wire: Wire
) -> None:
    identities = await bury(await connect(), 20)
    cuts = []

    def cut_at_the_tenth(found: Letter) -> bool:
        if found.id == identities[9]:
            cuts.append(asyncio.create_task(wire.cut()))
        return True

    await wire.mend()
    async with opened(wire.url) as far:
        done = await far.replay(QUEUE, cut_at_the_tenth, limit=100, remembered=every)
    assert len(cuts) == 1
    assert isinstance(done.stopped, Unavailable)
    assert len(done.letters) in (9, 10)

    async def given_back() -> bool:
        return await rabbit.ready(f"{QUEUE}.dead") >= 10

    await until(given_back)
    left = [one.id for one in await read(letters)]
    sent = await rabbit.take_all(QUEUE)
    assert sent[:9] == identities[:9]
    assert set(sent) | set(left) == set(identities)
    assert left[-10:] == identities[-10:]


REPLAY = """
import asyncio, sys, time
from weft.messaging.dead_letters import opened

async def main():
    async with opened(sys.argv[1]) as letters:
        await letters.replay("shop.commands", slowly, limit=1000, remembered=lambda _: True)

def slowly(_):  # whoever kills it in the midst may be slow, too
    time.sleep(0.05)
    return True

asyncio.run(main())
"""


async def test_a_replay_that_is_killed_loses_nothing_and_the_rest_can_be_replayed(
    connect: Connect, letters: DeadLetters, rabbit: Rabbit, broker_url: str
) -> None:
    identities = await bury(await connect(), 200)
    program = [sys.executable, "-c", textwrap.dedent(REPLAY), broker_url]
    with subprocess.Popen(program) as replaying:  # noqa: ASYNC220 - it is not waited for

        async def under_way() -> bool:
            return await rabbit.ready(QUEUE) > 20

        await until(under_way, seconds=60)
        replaying.send_signal(signal.SIGKILL)
    assert replaying.returncode == -signal.SIGKILL

    async def given_back() -> bool:
        dead, alive = await rabbit.ready(f"{QUEUE}.dead"), await rabbit.ready(QUEUE)
        return dead + alive >= 200 and alive < 200

    await until(given_back)
    done = await letters.replay(QUEUE, every, limit=1000, remembered=every)
    assert done.stopped is None
    sent = await rabbit.take_all(QUEUE)
    assert set(sent) == set(identities)
    assert len(sent) <= len(identities) + 1


async def test_what_the_broker_itself_put_aside_goes_back_as_it_was(
    connect: Connect, letters: DeadLetters, rabbit: Rabbit
) -> None:
    message = ping()
    await Publisher(await connect()).publish(message)
    await rabbit.reject(QUEUE)
    await ready(rabbit, f"{QUEUE}.dead", 1)
    (found,) = await read(letters)
    assert (found.id, found.reason, found.attempts) == (message.id, "rejected", 0)
    await letters.replay(QUEUE, every, limit=10, remembered=every)
    copy = received(await rabbit.take(QUEUE), QUEUE)
    assert (copy.id, copy.body, copy.attempt) == (message.id, message.body, 1)
    assert (copy.exchange, copy.routing_key) == ("weft.commands", "Ping")


async def test_an_operator_may_look_replay_and_drop_and_nothing_else(
    connect: Connect, rabbit: Rabbit, broker_url: str
) -> None:
    one, two = await bury(await connect(), 2)
    user = f"operator-{rabbit.vhost}"
    [rights] = [
        {right: entry[right] for right in ("configure", "write", "read")}
        for entry in definitions(lambda name: name, [])["permissions"]
        if entry["user"] == OPERATOR
    ]
    await rabbit.api("PUT", f"users/{user}", {"password": user, "tags": ""})
    await rabbit.api("PUT", f"permissions/{rabbit.vhost}/{user}", rights)
    parts = urlsplit(broker_url)
    url = parts._replace(netloc=f"{user}:{user}@{parts.hostname}:{parts.port}").geturl()
    async with opened(url) as letters:
        await letters.replay(QUEUE, lambda x: x.id == one, limit=10, remembered=every)
        await letters.drop(QUEUE, lambda x: x.id == two, limit=10)
        assert await rabbit.take_all(QUEUE) == [one]
        assert await rabbit.ready(f"{QUEUE}.dead") == 0
    own = Rabbit(url, "")
    for forbidden in (
        own.take(QUEUE),
        own.publish("weft.events", "order.confirmed"),
        own.publish("", QUEUE),
        own.declare("operator.queue"),
    ):
        with pytest.raises(Exception, match="ACCESS_REFUSED"):
            await forbidden
    await own.close()
    await rabbit.api("DELETE", f"users/{user}")


async def test_a_broker_that_does_not_answer_or_knows_no_such_queue_is_said(
    broker_url: str, letters: DeadLetters
) -> None:
    with pytest.raises(Unavailable, match="NOT_FOUND"):
        await read(letters)
    parts = urlsplit(broker_url)
    with pytest.raises(Unavailable):
        async with opened(parts._replace(netloc=f"a:b@{parts.hostname}:1").geturl()):
            pass


async def test_a_message_without_an_identity_can_be_looked_at_and_dropped(
    connect: Connect, letters: DeadLetters, rabbit: Rabbit
) -> None:
    await connect()
    await rabbit.put_raw(f"{QUEUE}.dead", b"\x00\xff", message_type="?" + "x" * 200)
    await rabbit.put_raw(f"{QUEUE}.dead", b"", message_id=uuid7())
    first, second = await read(letters)
    assert (first.reason, first.attempts, first.failed_at) == ("unknown", 0, None)
    done = await letters.drop(QUEUE, lambda x: x.group == second.group, limit=10)
    assert [one.id for one in done.letters] == [second.id]
    await asyncio.gather(letters.drop(QUEUE, every, limit=10))
    assert await read(letters) == []
