"""The usual components of a service that has a database and messages, from its settings."""

from collections.abc import Sequence

from weft.component import Component
from weft.flags.faults import POISON_MESSAGES, effect
from weft.messaging import Broker, Command, Consumer, Event, Publisher, QueueSpec, ServiceTopology
from weft.messaging.packing import PackingPublisher
from weft.messaging.poison import poisoning
from weft.postgres import Database, Handlers, Relay, Schema, exactly_once
from weft.settings import Secret, ServiceSettings, SettingsError


def database(settings: ServiceSettings, schema: Schema | None) -> Database:
    """Return the database of the settings. Raises SettingsError."""
    return Database(_given(settings, "database_url"), schema=schema)


def messages(
    service: str,
    settings: ServiceSettings,
    db: Database,
    handlers: Handlers,
    *,
    concurrency: int,
    further: Sequence[QueueSpec] = (),
    fanouts: Sequence[str] = (),
) -> tuple[Broker, list[Component]]:
    """Return the broker, and with it relay and a consumer for each queue, to start in that order.

    Nobody consumes from the `further` queues here. Raises SettingsError.
    """
    topology = ServiceTopology(
        service=service,
        commands=[kind for kind in handlers.kinds if issubclass(kind, Command)],
        events=[kind.message_type for kind in handlers.kinds if issubclass(kind, Event)],
        further=further,
        fanouts=fanouts,
    )
    broker = Broker(_given(settings, "broker_url"), topology)
    own = [queue for queue in topology.queues if queue not in further]
    consumers = [
        Consumer(
            broker,
            queue.name,
            exactly_once(db, queue.name, handlers),
            concurrency=concurrency,
            endless=handlers.endless,
            resume_check=db.check,
        )
        for queue in own
    ]
    publisher = Publisher(broker)
    if own:
        kind = (*topology.commands, *handlers.kinds)[0]
        effect(POISON_MESSAGES, poisoning(publisher, own[0], kind.message_type))
    relay = Relay(db, PackingPublisher(publisher, fanouts) if fanouts else publisher)
    return broker, [broker, relay, *consumers]


def _given(settings: ServiceSettings, name: str) -> Secret:
    secret: Secret | None = getattr(settings, name)
    if secret is None:
        raise SettingsError(f"WEFT_{name.upper()} is not set: expected a secret")
    return secret
