"""The broker as a service sees it: two connections, one topology, said once when away."""

import asyncio

from aio_pika.abc import AbstractConnection

from weft.errors import Unavailable
from weft.messaging.declare import declare
from weft.messaging.errors import TopologyError
from weft.messaging.link import Link
from weft.messaging.talk import LOST, talk, why
from weft.messaging.topology import QueueSpec, ServiceTopology
from weft.settings import Secret
from weft.telemetry import get_logger

_log = get_logger(__name__)


class Broker:
    """A Component: RabbitMQ at `url` (amqp://user:password@host:port/vhost).

    Consuming and publishing have a connection each, since a broker at its memory alarm stops
    reading from connections that publish, and acknowledgements must go through even then. Both come
    back by themselves with back-off; publishers and consumers re-establish themselves on them.
    """

    def __init__(
        self, url: str | Secret, topology: ServiceTopology, *, name: str = "rabbitmq"
    ) -> None:
        self.name = name
        self.topology = topology
        address = url.reveal() if isinstance(url, Secret) else url
        self._away: set[str] = set()
        self.consuming = Link(
            address,
            name=f"{topology.service} consuming",
            changed=self._changed,
            setup=self._set_up,
        )
        self.publishing = Link(
            address, name=f"{topology.service} publishing", changed=self._changed
        )

    @property
    def service(self) -> str:
        """The service on whose behalf messages are sent (`app_id`)."""
        return self.topology.service

    def queue(self, name: str) -> QueueSpec:
        """Return the service's queue called `name`; TopologyError if it declares none."""
        return self.topology.queue(name)

    async def start(self) -> None:
        """Wait until connected and declared. Raises TopologyError if a queue is refused."""
        try:
            await asyncio.gather(self.consuming.start(), self.publishing.start())
        except TopologyError:
            await self.stop()
            raise

    async def check(self) -> None:
        """Ask the broker for an answer on both connections; raises Unavailable."""
        await asyncio.gather(self._ask(self.consuming), self._ask(self.publishing))

    async def stop(self) -> None:
        """Close both connections."""
        await asyncio.gather(self.consuming.stop(), self.publishing.stop())

    async def _ask(self, link: Link) -> None:
        connection = link.connection_now()
        try:
            channel = await talk(connection.channel(publisher_confirms=False))
            await talk(channel.close())
        except LOST as error:
            raise Unavailable(self.name, why(error)) from error

    async def declare(self) -> None:
        """Make the topology true again, as after each connect; Unavailable, TopologyError."""
        await self._set_up(self.consuming.opened_now())

    async def _set_up(self, connection: AbstractConnection) -> None:
        await declare(connection, self.topology)

    def _changed(self, link: Link, error: BaseException | None) -> None:
        was_away = bool(self._away)
        if error is None:
            self._away.discard(link.name)
            if was_away and not self._away:
                _log.info("broker is back", **{"weft.component": self.name})
            return
        self._away.add(link.name)
        if not was_away:
            _log.warning("broker is away", **{"weft.component": self.name, "weft.why": why(error)})
