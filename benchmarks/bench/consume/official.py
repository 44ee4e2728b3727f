"""aio-pika with OpenTelemetry's own instrumentation, on the packages of official.lock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor

from benchmarks.bench.official import sdk
from benchmarks.bench.subject import Meter, Place

_PREFETCH: Final = 64
_QUEUE: Final = "bench.events"
_MESSAGES: Final = 40_960
_BATCH: Final = 512
_TRACE: Final = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
_BODY: Final = b'{"name":"name-1","amount":1,"text":"' + b"x" * 970 + b'"}'


@asynccontextmanager
async def official(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Acknowledge each message, with a span for each."""

    async def handle(message: AbstractIncomingMessage) -> None:
        async with message.process():
            meter.units += 1

    async with await aio_pika.connect(place.broker) as connection:
        await _fill(connection)
        with sdk():
            AioPikaInstrumentor().instrument()
            async with connection.channel() as channel:
                await channel.set_qos(prefetch_count=_PREFETCH)
                await (await channel.get_queue(_QUEUE)).consume(handle)
                yield
                if meter.units >= _MESSAGES:
                    raise ValueError("the queue was empty before the end")


async def _fill(connection: aio_pika.abc.AbstractConnection) -> None:
    async with connection.channel() as channel:
        arguments: dict[str, Any] = {"x-queue-type": "quorum"}
        await channel.declare_queue(_QUEUE, durable=True, arguments=arguments)
        message = aio_pika.Message(
            _BODY, headers=dict(_TRACE), delivery_mode=aio_pika.DeliveryMode.PERSISTENT
        )
        for _ in range(0, _MESSAGES, _BATCH):
            publish = channel.default_exchange.publish
            await asyncio.gather(*(publish(message, _QUEUE) for _ in range(_BATCH)))
