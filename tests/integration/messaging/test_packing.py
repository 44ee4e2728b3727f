"""Many messages to every instance travel in few of the protocol's, and each stays what it is."""

from collections.abc import Awaitable, Callable

import aiormq
import msgspec
from aiormq.abc import DeliveredMessage
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.integration.messaging.kit import named, ping, until
from weft.ids import uuid7
from weft.messaging import Broker, Fanout, Outgoing, Publisher
from weft.messaging.packing import MOST, MOST_BYTES, News, PackingPublisher
from weft.telemetry import record

Connect = Callable[..., Awaitable[Broker]]
NEWS = "shop.news"


def news(number: int, *, size: int = 0, headers: dict[str, str | int] | None = None) -> Outgoing:
    return Outgoing(
        id=uuid7(),
        exchange=NEWS,
        routing_key="news",
        type="news",
        version=1,
        body=msgspec.json.encode({"number": number, "text": "x" * size}),
        correlation_id=str(number),
        headers=headers or {},
        at=0.0,
    )


async def nothing() -> None:
    """Nobody has missed anything."""


async def heard_by(broker: Broker) -> tuple[list[News], Fanout]:
    heard: list[News] = []
    fanout = Fanout(broker, NEWS, heard.append, connected=nothing)
    await fanout.start()
    return heard, fanout


async def test_every_instance_hears_all_in_order_out_of_few_messages(
    connect: Connect, broker_url: str
) -> None:
    broker = await connect(fanouts=[NEWS])
    heard, fanout = await heard_by(broker)
    connection = await aiormq.connect(broker_url)
    channel = await connection.channel()
    queue = (await channel.queue_declare(exclusive=True)).queue or ""
    await channel.queue_bind(queue, NEWS, "")
    carried: list[DeliveredMessage] = []

    async def carry(message: DeliveredMessage) -> None:
        carried.append(message)

    await channel.basic_consume(queue, carry, no_ack=True)
    told = [news(number) for number in range(2 * MOST + 1)]
    command = ping()
    publisher = PackingPublisher(Publisher(broker), [NEWS])
    outcomes = await publisher.publish_batch([told[0], command, *told[1:]])
    assert outcomes == [None] * (len(told) + 1)
    await until(lambda: len(heard) == len(told))
    assert [each.id for each in heard] == [each.id for each in told]
    assert [bytes(each.body) for each in heard] == [each.body for each in told]
    await until(lambda: len(carried) == 3)
    await fanout.stop()
    await connection.close()


async def test_no_message_is_larger_than_the_bound_unless_one_of_its_own_is(
    connect: Connect,
) -> None:
    broker = await connect(fanouts=[NEWS])
    heard, fanout = await heard_by(broker)
    told = [news(number, size=MOST_BYTES // 3) for number in range(7)]
    told.append(news(7, size=2 * MOST_BYTES))
    assert not any(await PackingPublisher(Publisher(broker), [NEWS]).publish_batch(told))
    await until(lambda: len(heard) == len(told))
    assert [bytes(each.body) for each in heard] == [each.body for each in told]
    await fanout.stop()


async def test_each_has_a_send_span_of_its_own_cause(
    connect: Connect, spans: InMemorySpanExporter
) -> None:
    broker = await connect(fanouts=[NEWS])
    heard, fanout = await heard_by(broker)
    told, traces = [], []
    for number in range(3):
        with record.http_server("POST", "/v1/news", port=1, headers={}) as call:
            told.append(news(number, headers={**call.carrier}))
            traces.append(call.trace_id)
    assert not any(await PackingPublisher(Publisher(broker), [NEWS]).publish_batch(told))
    await until(lambda: len(heard) == len(told))
    sent = {f"{span.context.span_id:016x}": span for span in named(spans, f"send {NEWS}:news")}
    for each, trace_id, message in zip(heard, traces, told, strict=True):
        _, trace, creation, _ = each.headers["traceparent"].split("-")
        assert trace == trace_id
        assert sent[creation].attributes["messaging.message.id"] == message.id
    await fanout.stop()


async def test_what_no_instance_can_read_is_told_and_the_next_is_heard(connect: Connect) -> None:
    broker = await connect(fanouts=[NEWS])
    heard, fanout = await heard_by(broker)
    publisher = Publisher(broker)
    broken = msgspec.structs.replace(news(1), type="pack", body=b'[{"id": 7}]')
    await publisher.publish(broken)
    await publisher.publish(news(2))
    await until(lambda: heard)
    assert [msgspec.json.decode(each.body)["number"] for each in heard] == [2]
    await fanout.stop()
