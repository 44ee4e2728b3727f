"""Weft's Publisher, and its relay from an outbox that was filled before."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import ClassVar, Final

from benchmarks.bench import chassis
from benchmarks.bench.publish.job import BODY, EXCHANGE, IN_FLIGHT, MOST, TYPE
from benchmarks.bench.subject import Meter, Place, working
from weft.errors import WeftError
from weft.messaging import Event, Outgoing, Publisher, ServiceTopology, outgoing
from weft.postgres import Database
from weft.postgres.relay import Relay

_BATCHES: Final = 4
"""Batches at a time: the next is on its way while the broker confirms the one before."""
_ROWS: Final = 60_000
_KEYS: Final = 10_000
_TOPOLOGY: Final = ServiceTopology(service=chassis.SERVICE, events=[TYPE], max_length=MOST)
_FILL: Final = (
    "INSERT INTO weft.outbox (ordering_key, message_id, exchange, routing_key, type, version, body,"
    " headers, correlation_id, mandatory, at)"
    " SELECT 'stream-' || (random() * $1)::int, gen_random_uuid(), $2, $3, $3, 1, $4,"
    " jsonb_build_object('traceparent', '00-' || md5(n::text) || '-' || left(md5(n::text), 16)"
    " || '-01'), 'bench', true, now() FROM generate_series(1, $5) AS n"
)


class Made(Event, frozen=True, kw_only=True):
    """A fact of 1 KB."""

    message_type: ClassVar[str] = TYPE
    text: str


@asynccontextmanager
async def publisher(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Publish in batches."""
    text = BODY[9:-2].decode()

    def message() -> Outgoing:
        return outgoing(Made(text=text), correlation_id="bench")

    async with (
        chassis.telemetry(),
        chassis.broker(place, _TOPOLOGY) as broker,
    ):
        weft = Publisher(broker, in_flight=IN_FLIGHT)

        async def publish() -> None:
            size = IN_FLIGHT // _BATCHES
            while True:
                _check(await weft.publish_batch([message() for _ in range(size)]))
                meter.units += size

        async with working(*(publish() for _ in range(_BATCHES))):
            yield


@asynccontextmanager
async def relay(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Publish what an outbox holds, as a service's relay does."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(chassis.telemetry())
        broker = await enter(chassis.broker(place, _TOPOLOGY))
        db = await enter(chassis.database(place))
        await _fill(db)
        weft = Relay(db, _Counting(Publisher(broker, in_flight=IN_FLIGHT), meter))
        await weft.start()
        stack.push_async_callback(weft.stop)
        yield
        if meter.units >= _ROWS:
            raise ValueError("the outbox was empty before the end")


class _Counting:
    def __init__(self, publisher: Publisher, meter: Meter) -> None:
        self._publisher = publisher
        self._meter = meter

    async def publish_batch(self, messages: Sequence[Outgoing]) -> Sequence[WeftError | None]:
        outcomes = await self._publisher.publish_batch(messages)
        _check(outcomes)
        self._meter.units += len(outcomes)
        return outcomes


async def _fill(db: Database) -> None:
    connection = await db.connect()
    try:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute(_FILL, _KEYS, EXCHANGE, TYPE, BODY, _ROWS, timeout=100)
        await connection.execute("ANALYZE weft.outbox", timeout=100)
    finally:
        await connection.close()


def _check(outcomes: Sequence[WeftError | None]) -> None:
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
