"""What every publisher is given: the message, the queue, the room on the wire."""

from typing import Any, Final

IN_FLIGHT: Final = 512
BODY: Final = b'{"text":"' + b"x" * (1024 - 11) + b'"}'
TYPE: Final = "bench.made"
QUEUE: Final = "bench.events"
EXCHANGE: Final = "weft.events"
MOST: Final = 10_000_000
"""Messages that the queue may hold."""
ARGUMENTS: Final[dict[str, Any]] = {
    "x-queue-type": "quorum",
    "x-max-length": MOST,
    "x-overflow": "reject-publish",
}
