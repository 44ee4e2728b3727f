"""A service's broker on the real RabbitMQ."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.integration.messaging.kit import SHORT, Collected, Ping, Rabbit, Wire
from weft.messaging import Broker, ServiceTopology


@pytest.fixture
async def rabbit(broker_url: str, management_url: str) -> AsyncIterator[Rabbit]:
    rabbit = Rabbit(broker_url, management_url)
    yield rabbit
    await rabbit.close()


@pytest.fixture
def collected() -> Collected:
    return Collected()


@pytest.fixture
async def connect(broker_url: str) -> AsyncIterator[Callable[..., Awaitable[Broker]]]:
    """Start a Broker for a service with these queues; it is stopped at the test's end."""
    started: list[Broker] = []

    async def start(
        service: str = "shop",
        *,
        delays: tuple[float, ...] = SHORT,
        max_length: int = 10_000,
        **further: Any,
    ) -> Broker:
        wanted = {"commands": [Ping], "events": ["pong.*"], **further}
        topology = ServiceTopology(service=service, delays=delays, max_length=max_length, **wanted)
        broker = Broker(broker_url, topology)
        await broker.start()
        started.append(broker)
        return broker

    yield start
    for broker in started:
        await broker.stop()


@pytest.fixture
async def wire(broker_url: str) -> AsyncIterator[Wire]:
    wire = Wire(broker_url)
    yield wire
    await wire.cut()
