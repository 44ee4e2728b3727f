"""What can become of a message, beside arriving."""

from weft.errors import WeftError


class Unroutable(WeftError):
    """The broker has no queue for a mandatory message. It is not confirmed and not stored."""

    def __init__(self, exchange: str, routing_key: str) -> None:
        super().__init__(f"no queue is bound to {exchange} with {routing_key}")
        self.exchange = exchange
        self.routing_key = routing_key


class Rejected(WeftError):
    """The broker refused to store the message: a queue on its way is full."""

    def __init__(self, exchange: str, routing_key: str) -> None:
        super().__init__(f"a queue behind {exchange} with {routing_key} is full")
        self.exchange = exchange
        self.routing_key = routing_key


class Unparsable(WeftError):
    """The bytes are not the message that their type says. No retry can help."""


class NotYetKnown(WeftError):
    """A message or event that this version of the service does not know, or not in this shape.

    A newer version, which runs beside it during an upgrade, may: it is tried again, and only then
    dead.
    """


class TopologyError(WeftError):
    """A queue or exchange cannot be declared as the service needs it."""
