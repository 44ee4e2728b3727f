"""Makes a service's topology true at the broker."""

from typing import Any

from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelClosed, ChannelPreconditionFailed

from weft.messaging.errors import TopologyError
from weft.messaging.topology import QueueSpec, ServiceTopology

DEADLINE = 10.0


async def declare(connection: AbstractConnection, topology: ServiceTopology) -> None:
    """Declare the exchange, queues and bindings of `topology`; doing it again changes nothing.

    Raises TopologyError with the queue's name if it exists otherwise or may not be declared.
    """
    channel = await connection.channel(publisher_confirms=False, timeout=DEADLINE)
    direct = f"{topology.service}.direct"
    try:
        await channel.exchange_declare(
            direct, exchange_type="direct", durable=True, timeout=DEADLINE
        )
        for queue in topology.queues:
            await _declare_queue(channel, queue)
    except ChannelClosed as error:
        raise TopologyError(f"exchange {direct}: {error}") from error
    finally:
        await channel.close()


async def _declare_queue(channel: AbstractChannel, queue: QueueSpec) -> None:
    for name, arguments in queue.declarations():
        await _one(channel, name, arguments)
        await channel.queue_bind(name, queue.direct, name, timeout=DEADLINE)
    for exchange, routing_key in queue.bindings:
        try:
            await channel.queue_bind(queue.name, exchange, routing_key, timeout=DEADLINE)
        except ChannelClosed as error:
            raise TopologyError(f"queue {queue.name} to exchange {exchange}: {error}") from error


async def _one(channel: AbstractChannel, name: str, arguments: dict[str, Any]) -> None:
    try:
        await channel.queue_declare(name, durable=True, arguments=arguments, timeout=DEADLINE)
    except ChannelPreconditionFailed as error:
        raise TopologyError(f"queue {name} exists with other arguments: {error}") from error
    except ChannelClosed as error:
        raise TopologyError(f"queue {name}: {error}") from error
