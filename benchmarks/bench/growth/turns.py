"""What is done beside the stored events, turn by turn, and what each of it costs."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import psutil

import services.orders
from benchmarks.bench import chassis
from benchmarks.bench.growth import filling
from benchmarks.bench.subject import Meter, Place, working
from services.orders import sales, store
from services.orders.domain import StockReleased
from weft.postgres import Database, EventLog, Projection, StoredEvent, Transaction

APPENDS: Final = 100
READS: Final = 100
PROJECTED: Final = 3000
QUERIES: Final = 100
_SHOWN: Final = 50
_MICRO: Final = 1e6
_SCHEMA: Final = Path(services.orders.__file__).with_name("schema")
_BACKENDS: Final = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database() AND backend_type = 'client backend'"
)
_REWIND: Final = (
    "UPDATE weft.projections AS p SET tx = e.tx, position = e.position FROM"
    " (SELECT tx, position FROM weft.events WHERE position = $2) AS e WHERE p.name = $1"
)


@asynccontextmanager
async def turns(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Fill the database, then do turns."""
    orders = int(os.environ["WEFT_BENCH_EVENTS"]) // len(filling.EVENTS)
    async with chassis.telemetry(), chassis.database(place, _SCHEMA) as db:
        await filling.fill(place.database, orders)
        work = _Work(db, orders)
        await _turn(work, _Costs(db, {}))  # statements are prepared, the projection is known
        costs = _Costs(db, meter.figures)

        async def loop() -> None:
            while True:
                await _turn(work, costs)
                meter.units += 1

        async with working(loop()):
            yield


async def _turn(work: "_Work", costs: "_Costs") -> None:
    await costs.of("append", work.append, APPENDS)
    await costs.of("read", work.read, READS)
    await work.rewind()
    await costs.of("project", work.project, 1, PROJECTED)
    await costs.of("query", work.query, QUERIES)


class _Work:
    """One of each. The orders are random: hardly one is met twice."""

    def __init__(self, db: Database, orders: int) -> None:
        self._db = db
        self._log = EventLog(db)
        self._orders = orders
        self._subjects = filling.subjects(orders)
        self._random = random.Random(7)
        self._versions: dict[int, int] = {}
        self._sales = sales.Sales(self._log)
        self._projection = Projection(db, sales.NAME, self._apply, tables=[sales.TABLE])
        self._left = 0
        self._read = asyncio.Event()

    async def append(self) -> None:
        number = self._random.randint(1, self._orders)
        expected = self._versions.get(number, len(filling.EVENTS))
        self._versions[number] = await self._log.append(
            self._db,
            filling.order_id(number),
            kind="order",
            expected=expected,
            events=[StockReleased()],
        )

    async def read(self) -> None:
        number = self._random.randint(1, self._orders)
        await self._log.read(self._db, filling.order_id(number))

    async def query(self) -> None:
        subject = f"user-{self._random.randrange(self._subjects)}"
        await store.page(self._db, subject, status=None, before=None, limit=_SHOWN)

    async def rewind(self) -> None:
        """To anywhere before the last `PROJECTED` events that the database was filled with."""
        begin = self._random.randint(1, self._orders * len(filling.EVENTS) - PROJECTED)
        await self._db.execute("DELETE FROM sales")
        await self._db.execute(_REWIND, sales.NAME, begin)

    async def project(self) -> None:
        """Have the service's projection read that many events, and no batch more."""
        self._left = PROJECTED
        self._read.clear()
        await self._projection.start()
        await self._read.wait()
        await self._projection.stop()

    async def _apply(self, tx: Transaction, events: Sequence[StoredEvent], generation: int) -> None:
        await self._sales.apply(tx, events, generation)
        self._left -= len(events)
        if self._left <= 0:
            self._read.set()


class _Costs:
    """CPU time of this process and of the server's processes that work for it, by kind of work."""

    def __init__(self, db: Database, figures: dict[str, float]) -> None:
        self._db = db
        self._figures = figures
        self._seconds: dict[str, float] = {}
        self._done: dict[str, int] = {}

    async def of(
        self, kind: str, work: Callable[[], Awaitable[None]], times: int, each: int = 1
    ) -> None:
        """Do `work` so many times; each time it does so many."""
        backends = [psutil.Process(row["pid"]) for row in await self._db.fetch(_BACKENDS)]
        before = _seconds(backends)
        for _ in range(times):
            await work()
        self._seconds[kind] = self._seconds.get(kind, 0.0) + _seconds(backends) - before
        self._done[kind] = self._done.get(kind, 0) + times * each
        mean = self._seconds[kind] / self._done[kind]
        self._figures[f"{kind}_cpu_us"] = mean * _MICRO


def _seconds(backends: Sequence[psutil.Process]) -> float:
    total = time.process_time()
    for backend in backends:
        times = backend.cpu_times()
        total += times.user + times.system
    return total
