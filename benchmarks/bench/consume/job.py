"""What every consumer is given: a queue full of messages, and a table for their effects."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar, Final

from benchmarks.bench import chassis
from benchmarks.bench.subject import Meter, Place
from weft.messaging import Broker, Event, Outgoing, Publisher, ServiceTopology, outgoing

PREFETCH: Final = 64
CONCURRENCY: Final = 16
POOL: Final = 10
TYPE: Final = "bench.made"
QUEUE: Final = "bench.events"
_TABLE: Final = (
    "CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " name text NOT NULL, amount int NOT NULL)"
)
SCHEMA: Final = [_TABLE]
INSERT: Final = "INSERT INTO effects (name, amount) VALUES ($1, $2)"
INSERT_MANY: Final = (
    "INSERT INTO effects (name, amount) SELECT name, amount"
    " FROM unnest($1::text[], $2::int[]) AS m(name, amount)"
)
_TOPOLOGY: Final = ServiceTopology(service=chassis.SERVICE, events=[TYPE], max_length=10_000_000)
_BATCH: Final = 256
_TRACE: Final = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


class Made(Event, frozen=True, kw_only=True):
    """A fact of 1 KB."""

    message_type: ClassVar[str] = TYPE
    name: str
    amount: int
    text: str = "x" * 970


@asynccontextmanager
async def filled(place: Place, meter: Meter, messages: int) -> AsyncIterator[Broker]:
    """Connect as a service does, with so many messages in its queue: more than will be used."""
    async with chassis.broker(place, _TOPOLOGY) as broker:
        publisher = Publisher(broker)
        for start in range(0, messages, _BATCH):
            batch = [_message(number) for number in range(start, start + _BATCH)]
            outcomes = await publisher.publish_batch(batch, traced=False)
            if bad := [one for one in outcomes if one is not None]:
                raise bad[0]
        yield broker
        if meter.units >= messages:
            raise ValueError("the queue was empty before the end")


def _message(number: int) -> Outgoing:
    made = Made(name=f"name-{number}", amount=number)
    return outgoing(made, correlation_id="bench", carrier=_TRACE)
