"""Messages over RabbitMQ: topology, confirmed publishing, consuming, retries, dead letters."""

from weft.messaging.broker import Broker
from weft.messaging.consumer import Consumer
from weft.messaging.errors import NotYetKnown, Rejected, TopologyError, Unparsable, Unroutable
from weft.messaging.fanout import Fanout
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
from weft.messaging.publisher import Publisher
from weft.messaging.schema import decode
from weft.messaging.topology import QueueSpec, ServiceTopology

__all__ = [
    "COMMANDS",
    "EVENTS",
    "Broker",
    "Command",
    "Consumer",
    "Event",
    "Fanout",
    "Incoming",
    "Message",
    "NotYetKnown",
    "Outgoing",
    "Publisher",
    "QueueSpec",
    "Rejected",
    "ServiceTopology",
    "TopologyError",
    "Unparsable",
    "Unroutable",
    "decode",
    "outgoing",
]
