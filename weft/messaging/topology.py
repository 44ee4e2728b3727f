"""Which exchanges, queues and bindings a service needs, with every argument explicit.

The arguments are valid on RabbitMQ 3.10 and 4.x and mean the same on both: 4.x would otherwise give
quorum queues a delivery limit of 20.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from weft.messaging.errors import TopologyError
from weft.messaging.message import COMMANDS, EVENTS, Command

DELAYS = (1.0, 5.0, 30.0)
"""Seconds before the second, third and fourth attempt."""

DELIVERY_LIMIT = 100
"""Deliveries before the broker itself declares a message dead: a guard against messages that kill
their consumer, far above what innocent neighbours of such a message collect."""

_NO_LIMIT = 1_000_000_000  # looking at dead letters counts as delivery; -1 is refused by 3.10


class QueueSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A queue with its retry queues and its dead-letter queue.

    `bindings` are pairs of exchange and routing key; `delays` in seconds, ascending; `max_length`
    in messages, above which publishers are refused. `kind` "priority" is a durable classic queue
    with priorities 0 to `max_priority`.
    """

    name: str
    bindings: tuple[tuple[str, str], ...] = ()
    kind: Literal["quorum", "priority"] = "quorum"
    max_length: int = 100_000
    max_priority: int = 9
    delays: tuple[float, ...] = DELAYS

    @property
    def service(self) -> str:
        """The service that owns the queue."""
        return self.name.partition(".")[0]

    @property
    def direct(self) -> str:
        """The service's own exchange: the routing key is the queue's name."""
        return f"{self.service}.direct"

    @property
    def dead(self) -> str:
        """The name of the dead-letter queue."""
        return f"{self.name}.dead"

    def retry(self, delay: float) -> str:
        """Return the name of the queue that holds messages back for `delay` seconds."""
        text = f"{delay:g}s" if delay >= 1 else f"{delay * 1000:g}ms"
        return f"{self.name}.retry.{text}"

    def declarations(self) -> Iterable[tuple[str, dict[str, Any]]]:
        """Yield name and arguments of each queue."""
        yield self.name, self._main()
        for delay in self.delays:
            yield (
                self.retry(delay),
                _quorum(self.max_length, self.direct, self.name)
                | {"x-message-ttl": round(delay * 1000)},
            )
        yield self.dead, _quorum(self.max_length) | {"x-delivery-limit": _NO_LIMIT}

    def _main(self) -> dict[str, Any]:
        if self.kind == "quorum":
            return _quorum(self.max_length, self.direct, self.dead)
        return {
            "x-queue-type": "classic",
            "x-max-priority": self.max_priority,
            "x-max-length": self.max_length,
            "x-overflow": "reject-publish",
            "x-dead-letter-exchange": self.direct,
            "x-dead-letter-routing-key": self.dead,
        }


class ServiceTopology(msgspec.Struct, frozen=True, kw_only=True):
    """What one service declares: the commands it handles, the events it hears, further queues.

    `events` are routing keys or topic patterns such as `order.*`; `fanouts` are exchanges of its
    own (SERVICE.NAME) that every instance hears.
    """

    service: str
    commands: Sequence[type[Command]] = ()
    events: Sequence[str] = ()
    further: Sequence[QueueSpec] = ()
    fanouts: Sequence[str] = ()
    max_length: int = 100_000
    delays: tuple[float, ...] = DELAYS

    @property
    def queues(self) -> tuple[QueueSpec, ...]:
        """The queues, `SERVICE.commands` and `SERVICE.events` first where there are any."""
        commands = [(COMMANDS, kind.message_type) for kind in self.commands]
        events = [(EVENTS, pattern) for pattern in self.events]
        named = (("commands", commands), ("events", events))
        own = [
            QueueSpec(
                name=f"{self.service}.{name}",
                bindings=tuple(bindings),
                max_length=self.max_length,
                delays=self.delays,
            )
            for name, bindings in named
            if bindings
        ]
        return (*own, *self.further)

    def queue(self, name: str) -> QueueSpec:
        """Return the queue called `name`; TopologyError if the service has none."""
        for queue in self.queues:
            if queue.name == name:
                return queue
        raise TopologyError(f"{self.service} declares no queue {name}")


def _quorum(max_length: int, exchange: str = "", routing_key: str = "") -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-max-length": max_length,
        "x-overflow": "reject-publish",
    }
    if exchange:
        arguments |= {
            "x-dead-letter-exchange": exchange,
            "x-dead-letter-routing-key": routing_key,
            "x-dead-letter-strategy": "at-least-once",
        }
    return arguments
