"""The usual components of a service that has a database and messages, from its settings."""

from weft.component import Component
from weft.flags.faults import POISON_MESSAGES, effect
from weft.messaging import Broker, Command, Consumer, Event, Publisher, ServiceTopology
from weft.messaging.poison import poisoning
from weft.postgres import Database, Handlers, Relay, Schema, exactly_once
from weft.settings import Secret, ServiceSettings, SettingsError


def database(settings: ServiceSettings, schema: Schema | None) -> Database:
    """Return the database of the settings. Raises SettingsError."""
    return Database(_given(settings, "database_url"), schema=schema)


def messages(
    service: str, settings: ServiceSettings, db: Database, handlers: Handlers, *, concurrency: int
) -> list[Component]:
    """Return broker, relay and a consumer for each queue, to start in that order.

    Raises SettingsError.
    """
    topology = ServiceTopology(
        service=service,
        commands=[kind for kind in handlers.kinds if issubclass(kind, Command)],
        events=[kind.message_type for kind in handlers.kinds if issubclass(kind, Event)],
    )
    broker = Broker(_given(settings, "broker_url"), topology)
    consumers = [
        Consumer(
            broker,
            queue.name,
            exactly_once(db, queue.name, handlers),
            concurrency=concurrency,
            endless=handlers.endless,
            resume_check=db.check,
        )
        for queue in topology.queues
    ]
    publisher = Publisher(broker)
    if topology.queues:
        kind = (*topology.commands, *handlers.kinds)[0]
        effect(POISON_MESSAGES, poisoning(publisher, topology.queues[0], kind.message_type))
    return [broker, Relay(db, publisher), *consumers]


def _given(settings: ServiceSettings, name: str) -> Secret:
    secret: Secret | None = getattr(settings, name)
    if secret is None:
        raise SettingsError(f"WEFT_{name.upper()} is not set: expected a secret")
    return secret
