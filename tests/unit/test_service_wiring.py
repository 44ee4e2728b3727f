"""What Service.database and Service.messages add, in which order, and what they refuse."""

from typing import Any

import pytest

from weft import Command, Event, Handlers, Incoming, Secret, Service, ServiceSettings, Transaction
from weft.messaging import Broker, Consumer
from weft.postgres import Database, Relay
from weft.settings import SettingsError


class Bake(Command, frozen=True, kw_only=True):
    message_type = "Bake"


class Eaten(Event, frozen=True, kw_only=True):
    message_type = "bread.eaten"


async def handle(tx: Transaction, message: Any, incoming: Incoming) -> None:
    """Do nothing."""


def bakery(**settings: Any) -> Service:
    return Service("bakery", ServiceSettings(**settings), version="1")


def test_messages_add_a_broker_a_relay_and_a_consumer_for_each_kind_of_message() -> None:
    service = bakery(
        database_url=Secret("postgresql://bakery@127.0.0.1/bakery"),
        broker_url=Secret("amqp://bakery@127.0.0.1/weft"),
    )
    take = Handlers()
    take.on(Bake)(handle)
    take.on(Eaten, endless=True)(handle)
    service.messages(service.database(["CREATE TABLE bread (loaf text)"]), take)
    kinds = [Database, Broker, Relay, Consumer, Consumer]
    assert [type(part) for part in service._components] == kinds
    broker = service._components[1]
    assert isinstance(broker, Broker)
    commands, events = (broker.queue(f"bakery.{name}") for name in ("commands", "events"))
    assert commands.bindings == (("weft.commands", "Bake"),)
    assert events.bindings == (("weft.events", "bread.eaten"),)


def test_a_service_that_only_sends_has_no_consumer() -> None:
    service = bakery(database_url=Secret("postgresql://a@b/c"), broker_url=Secret("amqp://a@b/c"))
    service.messages(service.database(), Handlers())
    assert [type(part) for part in service._components] == [Database, Broker, Relay]


def test_what_is_not_set_is_said_by_its_variable() -> None:
    with pytest.raises(SettingsError, match="WEFT_DATABASE_URL is not set"):
        bakery().database()
    service = bakery(database_url=Secret("postgresql://a@b/c"))
    with pytest.raises(SettingsError, match="WEFT_BROKER_URL is not set"):
        service.messages(service.database(), Handlers())
