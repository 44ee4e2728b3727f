"""Makes a service's topology true at the broker."""

import contextlib
from typing import Any

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue
from aio_pika.exceptions import ChannelClosed, ChannelPreconditionFailed

from weft.messaging.errors import TopologyError
from weft.messaging.talk import LOST, talk
from weft.messaging.topology import QueueSpec, ServiceTopology


async def declare(connection: AbstractConnection, topology: ServiceTopology) -> None:
    """Declare the exchange, queues and bindings of `topology`; doing it again changes nothing.

    Raises TopologyError with the queue's name if it exists otherwise or may not be declared.
    """
    channel = connection.channel(publisher_confirms=False)
    direct = f"{topology.service}.direct"
    try:
        await talk(channel.initialize())
        await talk(channel.declare_exchange(direct, ExchangeType.DIRECT, durable=True))
        for fanout in topology.fanouts:
            await talk(channel.declare_exchange(fanout, ExchangeType.FANOUT, durable=True))
        for queue in topology.queues:
            await _declare_queue(channel, queue)
    except ChannelClosed as error:
        raise TopologyError(f"an exchange of {topology.service}: {error}") from error
    finally:
        with contextlib.suppress(*LOST):
            await talk(channel.close())


async def _declare_queue(channel: AbstractChannel, spec: QueueSpec) -> None:
    for name, arguments in spec.declarations():
        queue = await _one(channel, name, arguments)
        await talk(queue.bind(spec.direct, name))
        if name != spec.name:
            continue
        for exchange, routing_key in spec.bindings:
            try:
                await talk(queue.bind(exchange, routing_key))
            except ChannelClosed as error:
                raise TopologyError(f"queue {name} to exchange {exchange}: {error}") from error


async def _one(channel: AbstractChannel, name: str, arguments: dict[str, Any]) -> AbstractQueue:
    try:
        return await talk(channel.declare_queue(name, durable=True, arguments=arguments))
    except ChannelPreconditionFailed as error:
        raise TopologyError(f"queue {name} exists with other arguments: {error}") from error
    except ChannelClosed as error:
        raise TopologyError(f"queue {name}: {error}") from error
