"""Messages: what a service says (Command, Event) and how it travels (Outgoing, Incoming)."""

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from weft.ids import uuid7
from weft.telemetry import current_carrier

COMMANDS = "weft.commands"
EVENTS = "weft.events"
_HIGHEST = 255
_LONGEST = 248  # what a short string holds, less a version

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns the JSON object of schema version n into that of version n + 1."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of Command and Event. A subclass names its type and, from 2 on, its schema version.

    `upcasters[n]` turns the body of version n into that of n + 1; there is one for each version
    before the current one.
    """

    message_type: ClassVar[str]
    message_version: ClassVar[int] = 1
    upcasters: ClassVar[Mapping[int, Upcaster]] = {}


class Command(Message, frozen=True, kw_only=True):
    """A wish addressed to the one service that handles its type, such as `ReserveStock`."""


class Event(Message, frozen=True, kw_only=True):
    """A fact for whoever listens to its type, such as `stock.reserved`."""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is published. Its identity is made once and survives every republication.

    `at` is in seconds since the epoch; `headers` hold the trace context of the message's cause.
    """

    id: str
    exchange: str
    routing_key: str
    type: str
    version: int
    body: bytes
    correlation_id: str
    reply_to: str | None = None
    headers: dict[str, str | int] = {}
    mandatory: bool = False
    priority: int | None = None
    at: float


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it was delivered. `attempt` counts from 1; `at` is in seconds since the epoch.

    `redelivered` is the broker's word and says nothing about attempts.
    """

    id: str
    type: str
    version: int
    body: bytes
    headers: dict[str, Any]
    correlation_id: str
    reply_to: str | None
    attempt: int
    redelivered: bool
    queue: str
    exchange: str
    routing_key: str
    at: float


def outgoing(
    message: Message,
    *,
    correlation_id: str,
    carrier: Mapping[str, str] | None = None,
    reply_to: str | None = None,
    priority: int | None = None,
) -> Outgoing:
    """Give `message` its identity. Call it in the transaction that causes the message.

    `carrier` is the trace context to continue, the current one by default. A command is mandatory,
    an event is not. Raises ValueError if the protocol cannot carry a text (248 bytes).
    """
    command = isinstance(message, Command)
    _bound(correlation_id=correlation_id, reply_to=reply_to or "", type=message.message_type)
    if priority is not None and not 0 <= priority <= _HIGHEST:
        raise ValueError(f"priority is not 0 to {_HIGHEST}")
    return Outgoing(
        id=uuid7(),
        exchange=COMMANDS if command else EVENTS,
        routing_key=message.message_type,
        type=message.message_type,
        version=message.message_version,
        body=msgspec.json.encode(message),
        correlation_id=correlation_id,
        reply_to=reply_to,
        headers=dict(current_carrier() if carrier is None else carrier),
        mandatory=command,
        priority=priority,
        at=time.time(),
    )


def _bound(**texts: str) -> None:
    for name, text in texts.items():
        if len(text.encode()) > _LONGEST:
            raise ValueError(f"{name} has more than {_LONGEST} bytes")
