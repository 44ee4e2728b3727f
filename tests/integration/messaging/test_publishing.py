"""Publishing: confirmed, refused, returned, in order, through a lost connection."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tests.integration.messaging.kit import Orphan, Pong, Rabbit, ping, until
from weft.errors import Unavailable
from weft.messaging import Broker, Publisher, Rejected, Unroutable, outgoing

Connect = Callable[..., Awaitable[Broker]]


async def until_ready(rabbit: Rabbit, queue: str, count: int) -> None:
    async def there() -> bool:
        return await rabbit.ready(queue) == count

    await until(there)


async def test_a_confirmed_message_is_in_its_queue_with_all_its_properties(
    connect: Connect, rabbit: Rabbit
) -> None:
    broker = await connect()
    message = ping(7)
    await Publisher(broker).publish(message)
    found = await rabbit.take("shop.commands")
    properties = found.header.properties
    assert found.body == b'{"number":7}'
    assert properties.message_id == message.id
    assert properties.correlation_id == "c-7"
    assert properties.message_type == "Ping.v1"
    assert properties.app_id == "shop"
    assert properties.content_type == "application/json"
    assert properties.delivery_mode == 2
    assert properties.timestamp is not None
    assert properties.timestamp.timestamp() == int(message.at)


async def test_a_command_without_a_queue_is_unroutable_and_its_neighbours_are_confirmed(
    connect: Connect, rabbit: Rabbit
) -> None:
    publisher = Publisher(await connect())
    orphan = outgoing(Orphan(), correlation_id="c")
    first, second, third = await publisher.publish_batch([ping(1), orphan, ping(2)])
    assert (first, third) == (None, None)
    assert isinstance(second, Unroutable)
    assert second.routing_key == "Orphan"
    await until_ready(rabbit, "shop.commands", 2)


async def test_a_command_that_is_sent_twice_at_once_is_unroutable_twice(connect: Connect) -> None:
    publisher = Publisher(await connect())
    orphan = outgoing(Orphan(), correlation_id="c")
    at_once = (
        publisher.publish_batch([orphan, ping(1), orphan, orphan]),
        publisher.publish_batch([orphan]),
    )
    batches = await asyncio.gather(*at_once)
    assert [type(outcome) for batch in batches for outcome in batch] == [
        Unroutable,
        type(None),
        Unroutable,
        Unroutable,
        Unroutable,
    ]


async def test_an_event_that_nobody_hears_is_confirmed(connect: Connect) -> None:
    broker = await connect(events=[])
    await Publisher(broker).publish(outgoing(Pong(number=1), correlation_id="c"))


async def test_a_full_queue_refuses_while_another_goes_on(connect: Connect, rabbit: Rabbit) -> None:
    publisher = Publisher(await connect(max_length=5))

    async def is_full() -> bool:
        (outcome,) = await publisher.publish_batch([ping()])
        return isinstance(outcome, Rejected)

    await until(is_full)
    event = outgoing(Pong(number=1), correlation_id="c")
    refused, confirmed = await publisher.publish_batch([ping(), event])
    assert isinstance(refused, Rejected)
    assert confirmed is None
    await rabbit.take("shop.commands")
    await rabbit.take("shop.commands")

    async def has_room() -> bool:
        return await publisher.publish_batch([ping()]) == [None]

    await until(has_room)


async def test_messages_of_concurrent_batches_keep_the_order_of_the_calls(
    connect: Connect, rabbit: Rabbit
) -> None:
    publisher = Publisher(await connect())
    batches = [[ping(100 * batch + n) for n in range(100)] for batch in range(5)]
    outcomes = await asyncio.gather(*(publisher.publish_batch(batch) for batch in batches))
    assert outcomes == [[None] * 100] * 5
    bodies = [(await rabbit.take("shop.commands")).body for _ in range(500)]
    assert bodies == [b'{"number":%d}' % n for n in range(500)]


async def test_more_messages_than_may_be_in_flight_are_all_confirmed(connect: Connect) -> None:
    publisher = Publisher(await connect(), in_flight=40)
    assert await publisher.publish_batch([ping(n) for n in range(1000)]) == [None] * 1000


async def test_a_body_larger_than_a_frame_arrives_whole(connect: Connect, rabbit: Rabbit) -> None:
    publisher = Publisher(await connect())
    message = ping()
    body = bytes(range(256)) * 2000
    await publisher.publish(msgspec.structs.replace(message, body=body))
    assert (await rabbit.take("shop.commands")).body == body


async def test_publishing_without_a_connection_is_unavailable_and_works_again_after(
    connect: Connect, rabbit: Rabbit
) -> None:
    publisher = Publisher(await connect())
    await publisher.publish(ping(1))
    await until(lambda: rabbit.kill_connections("publishing"))

    async def fails_or_works() -> bool:
        (outcome,) = await publisher.publish_batch([ping(2)])
        assert outcome is None or isinstance(outcome, Unavailable)
        return isinstance(outcome, Unavailable)

    async def works() -> bool:
        return await publisher.publish_batch([ping(3)]) == [None]

    await until(fails_or_works)
    await until(works)


async def test_messages_in_flight_on_a_lost_connection_are_unavailable(
    connect: Connect,
) -> None:
    broker = await connect()
    publisher = Publisher(broker)
    sending = [publisher.publish_batch([ping(n) for n in range(500)]) for _ in range(4)]
    tasks = [asyncio.create_task(batch) for batch in sending]
    connection = await broker.publishing.connection()
    await connection.close()
    for outcomes in await asyncio.gather(*tasks):
        assert all(outcome is None or isinstance(outcome, Unavailable) for outcome in outcomes)


async def test_check_raises_while_the_broker_is_away(connect: Connect) -> None:
    broker = await connect()
    await broker.check()
    await broker.stop()
    with pytest.raises(Unavailable, match="not connected"):
        await broker.check()
