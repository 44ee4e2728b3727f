"""Messages over RabbitMQ: topology, confirmed publishing, consuming, retries, dead letters."""

from weft.messaging.errors import Rejected, TopologyError, Unparsable, Unroutable
from weft.messaging.message import (
    COMMANDS,
    EVENTS,
    Command,
    Event,
    Incoming,
    Message,
    Outgoing,
    outgoing,
)
from weft.messaging.schema import decode

__all__ = [
    "COMMANDS",
    "EVENTS",
    "Command",
    "Event",
    "Incoming",
    "Message",
    "Outgoing",
    "Rejected",
    "TopologyError",
    "Unparsable",
    "Unroutable",
    "decode",
    "outgoing",
]
