"""Publishing outbox rows so that the order within a key holds, whatever the broker refuses."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from weft.errors import Unavailable, WeftError
from weft.messaging.message import Outgoing


class Publishes(Protocol):
    """What the relay needs of messaging.Publisher."""

    async def publish_batch(self, messages: Sequence[Outgoing]) -> Sequence[WeftError | None]:
        """Publish in order; return None for each confirmed message, else what became of it."""


class Row(msgspec.Struct, frozen=True):
    """A row of the outbox. `attempts` counts the broker's refusals of it."""

    id: int
    key: str | None
    attempts: int
    message: Outgoing


class Dispatched(msgspec.Struct):
    """What became of the rows. Those in none of the lists were not published."""

    confirmed: list[Row] = []
    refused: list[tuple[Row, WeftError]] = []
    waiting: list[Row] = []
    """Behind a refused row of their key."""
    away: Unavailable | None = None
    """Why the broker could not be asked about the rest."""


async def dispatch(
    publisher: Publishes, rows: Sequence[Row], *, allowed: Callable[[], bool]
) -> Dispatched:
    """Publish `rows`, given in their order, as long as `allowed()`.

    They go out in waves, the next row of each key once the one before it is confirmed: so nothing
    of a key overtakes a row that is refused or lost. Rows without a key are all in the first wave.
    """
    result = Dispatched()
    queues: dict[str, deque[Row]] = {}
    wave: list[Row] = []
    for row in rows:
        if row.key is None or row.key not in queues:
            wave.append(row)
            if row.key is not None:
                queues[row.key] = deque()
        else:
            queues[row.key].append(row)
    while wave and result.away is None and allowed():
        outcomes = await publisher.publish_batch([row.message for row in wave])
        following: list[Row] = []
        for row, outcome in zip(wave, outcomes, strict=True):
            queue = queues.get(row.key) if row.key is not None else None
            _settle(result, row, outcome, queue, following)
        wave = following
    return result


def _settle(
    result: Dispatched,
    row: Row,
    outcome: WeftError | None,
    queue: deque[Row] | None,
    following: list[Row],
) -> None:
    if outcome is None:
        result.confirmed.append(row)
        if queue:
            following.append(queue.popleft())
    elif isinstance(outcome, Unavailable):
        result.away = outcome
    else:
        result.refused.append((row, outcome))
        result.waiting.extend(queue or ())
