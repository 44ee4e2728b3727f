"""One trace from the cause of a message through its sending, handling, retries and settlement."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.integration.messaging.kit import Collected, Ping, Rabbit, caused, named, until
from weft.messaging import Broker, Consumer, Incoming, Publisher, outgoing
from weft.telemetry import current_carrier, mark_synthetic, record

Connect = Callable[..., Awaitable[Broker]]


def one(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = named(spans, name)
    return span


def is_child(child: ReadableSpan, parent: ReadableSpan) -> bool:
    assert child.parent is not None
    assert child.context is not None
    assert parent.context is not None
    ids = (child.parent.span_id, child.context.trace_id)
    return ids == (parent.context.span_id, parent.context.trace_id)


@pytest.fixture
async def consumed(connect: Connect, collected: Collected) -> AsyncIterator[Broker]:
    broker = await connect()
    consumer = Consumer(broker, "shop.commands", collected)
    await consumer.start()
    yield broker
    await consumer.stop()


async def test_request_send_process_and_settle_are_one_chain(
    consumed: Broker, spans: InMemorySpanExporter
) -> None:
    message, _ = caused()
    await Publisher(consumed).publish(message)
    await until(lambda: named(spans, "ack shop.commands"))
    request, send = one(spans, "POST"), one(spans, "send weft.commands:Ping")
    process, settle = one(spans, "process shop.commands"), one(spans, "ack shop.commands")
    assert is_child(send, request)
    assert is_child(process, send)
    assert is_child(settle, process)
    assert [link.context.span_id for link in process.links] == [send.context.span_id]
    assert process.attributes is not None
    assert process.attributes["weft.message.attempt"] == 1
    assert process.attributes["weft.message.outcome"] == "processed"
    assert process.attributes["messaging.message.id"] == message.id


async def test_a_message_of_synthetic_traffic_is_marked_where_it_is_handled(
    consumed: Broker, spans: InMemorySpanExporter
) -> None:
    with record.http_server("POST", "/v1/pings", port=1, headers={}):
        mark_synthetic()
        synthetic = outgoing(Ping(number=1), correlation_id="c-1")
    for message in (synthetic, caused(2)[0]):
        await Publisher(consumed).publish(message)
    await until(lambda: len(named(spans, "process shop.commands")) == 2)
    handled = [span.attributes or {} for span in named(spans, "process shop.commands")]
    marked = {each["messaging.message.id"]: each.get("weft.synthetic") for each in handled}
    assert marked.pop(synthetic.id) is True
    assert list(marked.values()) == [None]


async def test_each_attempt_is_a_process_span_under_the_same_send_span(
    consumed: Broker, collected: Collected, spans: InMemorySpanExporter
) -> None:
    collected.raises = lambda m: ValueError("no") if m.attempt < 3 else None
    message, _ = caused()
    await Publisher(consumed).publish(message)
    await until(lambda: len(named(spans, "ack shop.commands")) == 3)
    send = one(spans, "send weft.commands:Ping")
    attempts = named(spans, "process shop.commands")
    assert all(is_child(attempt, send) for attempt in attempts)
    seen: list[Any] = [
        (a.attributes["weft.message.attempt"], a.attributes["weft.message.outcome"])
        for a in attempts
        if a.attributes
    ]
    assert seen == [(1, "retried"), (2, "retried"), (3, "processed")]


@pytest.mark.usefixtures("spans")
async def test_a_hundred_messages_at_once_stay_in_their_own_traces(connect: Connect) -> None:
    inside: dict[str, str] = {}

    async def handler(incoming: Incoming) -> Any:
        await asyncio.sleep(0)
        inside[incoming.id] = current_carrier()["traceparent"].split("-")[1]
        return "processed"

    broker = await connect()
    consumer = Consumer(broker, "shop.commands", handler)
    await consumer.start()
    messages = [caused(n) for n in range(100)]
    await Publisher(broker).publish_batch([message for message, _ in messages])
    await until(lambda: len(inside) == 100)
    await consumer.stop()
    assert inside == {message.id: trace_id for message, trace_id in messages}
    assert len({trace_id for _, trace_id in messages}) == 100


async def test_a_dead_letter_keeps_the_trace(
    consumed: Broker, collected: Collected, rabbit: Rabbit, spans: InMemorySpanExporter
) -> None:
    collected.raises = lambda _: ValueError("no")
    message, trace_id = caused()
    await Publisher(consumed).publish(message)
    letter = await rabbit.take("shop.commands.dead")
    headers: Any = letter.header.properties.headers
    assert headers["traceparent"].split("-")[1] == trace_id
    await until(lambda: len(named(spans, "process shop.commands")) == 4)


async def test_a_refused_message_leaves_a_failed_send_span(
    connect: Connect, spans: InMemorySpanExporter
) -> None:
    broker = await connect(commands=[])
    message, _ = caused()
    outcomes = await Publisher(broker).publish_batch([message])
    assert outcomes != [None]
    send = one(spans, "send weft.commands:Ping")
    assert send.attributes is not None
    assert send.attributes["error.type"] == "Unroutable"
    assert not send.status.is_ok
