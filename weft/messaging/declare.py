"""Makes a service's topology true at the broker."""

import contextlib
from typing import Any

from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelClosed, ChannelPreconditionFailed

from weft.messaging.errors import TopologyError
from weft.messaging.talk import LOST, talk
from weft.messaging.topology import QueueSpec, ServiceTopology


async def declare(connection: AbstractConnection, topology: ServiceTopology) -> None:
    """Declare the exchange, queues and bindings of `topology`; doing it again changes nothing.

    Raises TopologyError with the queue's name if it exists otherwise or may not be declared.
    """
    channel = await talk(connection.channel(publisher_confirms=False))
    direct = f"{topology.service}.direct"
    try:
        await talk(channel.exchange_declare(direct, exchange_type="direct", durable=True))
        for queue in topology.queues:
            await _declare_queue(channel, queue)
    except ChannelClosed as error:
        raise TopologyError(f"exchange {direct}: {error}") from error
    finally:
        with contextlib.suppress(*LOST):
            await talk(channel.close())


async def _declare_queue(channel: AbstractChannel, queue: QueueSpec) -> None:
    for name, arguments in queue.declarations():
        await _one(channel, name, arguments)
        await talk(channel.queue_bind(name, queue.direct, name))
    for exchange, routing_key in queue.bindings:
        try:
            await talk(channel.queue_bind(queue.name, exchange, routing_key))
        except ChannelClosed as error:
            raise TopologyError(f"queue {queue.name} to exchange {exchange}: {error}") from error


async def _one(channel: AbstractChannel, name: str, arguments: dict[str, Any]) -> None:
    try:
        await talk(channel.queue_declare(name, durable=True, arguments=arguments))
    except ChannelPreconditionFailed as error:
        raise TopologyError(f"queue {name} exists with other arguments: {error}") from error
    except ChannelClosed as error:
        raise TopologyError(f"queue {name}: {error}") from error
