"""A chassis for asyncio services: HTTP, RabbitMQ, PostgreSQL, and all three telemetry signals.

The names that most services need are here; the rooms (`weft.http`, `weft.messaging`,
`weft.postgres`, `weft.telemetry`) have the rest. Each is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weft.errors import Unavailable
    from weft.http import Authenticator, HttpClient, Problem, Reply, Request, Routes
    from weft.messaging import Command, Event, Incoming, outgoing
    from weft.postgres import Database, EventLog, Handlers, Outbox, Transaction
    from weft.service import Service, run
    from weft.settings import Duration, Secret, ServiceSettings
    from weft.telemetry import (
        counter,
        fact,
        gauge,
        get_logger,
        histogram,
        record,
        traced,
        up_down_counter,
    )

    __version__: str

__all__ = [
    "Authenticator",
    "Command",
    "Database",
    "Duration",
    "Event",
    "EventLog",
    "Handlers",
    "HttpClient",
    "Incoming",
    "Outbox",
    "Problem",
    "Reply",
    "Request",
    "Routes",
    "Secret",
    "Service",
    "ServiceSettings",
    "Transaction",
    "Unavailable",
    "__version__",
    "counter",
    "fact",
    "gauge",
    "get_logger",
    "histogram",
    "outgoing",
    "record",
    "run",
    "traced",
    "up_down_counter",
]

_ROOMS = {
    "weft.errors": "Unavailable",
    "weft.http": "Authenticator HttpClient Problem Reply Request Routes",
    "weft.messaging": "Command Event Incoming outgoing",
    "weft.postgres": "Database EventLog Handlers Outbox Transaction",
    "weft.service": "Service run",
    "weft.settings": "Duration Secret ServiceSettings",
    "weft.telemetry": "counter fact gauge get_logger histogram record traced up_down_counter",
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = import_module("importlib.metadata").version("weft")
    elif name in _ROOM_OF:
        value = getattr(import_module(_ROOM_OF[name]), name)
    else:
        raise AttributeError(f"module 'weft' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_ROOM_OF, "__version__"]
