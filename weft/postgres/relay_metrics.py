"""What the relay tells about itself."""

from weft.messaging.errors import Rejected, Unroutable
from weft.postgres.dispatch import Dispatched
from weft.telemetry import counter, gauge

_backlog = {"rows": 0.0, "age": 0.0}

gauge(
    "weft.relay.lag.events",
    "{event}",
    "Rows in the outbox, counted up to 100000 by the active relay; 0 in those that stand by.",
    lambda: _backlog["rows"],
)
gauge(
    "weft.relay.lag.age",
    "s",
    "Age of the oldest row in the outbox.",
    lambda: _backlog["age"],
)
_messages = counter(
    "weft.relay.messages",
    "{message}",
    "Messages that the relay handed to the broker, by what became of them.",
)


def backlog(rows: int, age: float) -> None:
    """Set the gauges: the number of rows, and the age of the oldest in seconds."""
    _backlog.update(rows=rows, age=age)


def count(result: Dispatched) -> None:
    """Count what was confirmed and what was refused, and why."""
    if result.confirmed:
        _messages.add(len(result.confirmed), {"outcome": "confirmed"})
    unroutable = sum(isinstance(error, Unroutable) for _, error in result.refused)
    rejected = sum(isinstance(error, Rejected) for _, error in result.refused)
    if unroutable:
        _messages.add(unroutable, {"outcome": "unroutable"})
    if rejected:
        _messages.add(rejected, {"outcome": "rejected"})
