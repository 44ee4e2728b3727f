"""Projections: read models that follow the event log, each event once."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context

from weft.errors import Unavailable
from weft.messaging.backoff import Backoff
from weft.postgres import event_log
from weft.postgres.database import Database
from weft.postgres.event_log import StoredEvent, stored
from weft.postgres.horizon import Horizon
from weft.postgres.transaction import Transaction
from weft.telemetry import gauge, get_logger

log = get_logger(__name__)

Apply = Callable[[Transaction, Sequence[StoredEvent]], Awaitable[None]]

POLL = 1.0
_BLOCKED = 0.05
_MEASURE = 5.0
_COUNTED = 100_000

_lag: dict[tuple[tuple[str, str], ...], float] = {}
_age: dict[tuple[tuple[str, str], ...], float] = {}

gauge(
    "weft.projection.lag.events",
    "{event}",
    "Events in the log that a projection has not read, counted up to 100000.",
    lambda: dict(_lag),
)
gauge(
    "weft.projection.horizon.age",
    "s",
    "How long the oldest writing transaction of the server has held projections back.",
    lambda: dict(_age),
)

_REGISTER = (
    "INSERT INTO weft.projections (name, generation, live)"
    " VALUES ($1, $2, NOT EXISTS (SELECT 1 FROM weft.projections WHERE name = $1 AND live))"
    " ON CONFLICT DO NOTHING"
)
_CURSOR = "SELECT tx::text, position FROM weft.projections WHERE name = $1 AND generation = $2"
_PEEK = (
    "SELECT n.tx IS NOT NULL AS waiting, n.tx < pg_snapshot_xmin(h) AS ready,"
    " pg_snapshot_xmin(h)::text AS xmin, pg_snapshot_xmax(h)::text AS xmax"
    " FROM weft.projections p CROSS JOIN pg_current_snapshot() AS h LEFT JOIN LATERAL"
    " (SELECT e.tx FROM weft.events e WHERE (e.tx, e.position) > (p.tx, p.position)"
    " ORDER BY e.tx, e.position LIMIT 1) AS n ON true WHERE p.name = $1 AND p.generation = $2"
)
_READ = (
    "SELECT e.*, e.tx::text AS transaction"
    " FROM weft.events e WHERE (e.tx, e.position) > ($1::text::xid8, $2)"
    " AND e.tx < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY e.tx, e.position LIMIT $3"
)
_MOVE = (
    "UPDATE weft.projections SET tx = $3::text::xid8, position = $4, updated_at = now()"
    " WHERE name = $1 AND generation = $2"
)
_COUNT = (
    "SELECT count(*) FROM (SELECT 1 FROM weft.projections p, weft.events e"
    " WHERE p.name = $1 AND p.generation = $2 AND (e.tx, e.position) > (p.tx, p.position)"
    " LIMIT $3) AS unread"
)


class Projection:
    """Component: hands the log's events to `apply` in batches, in the transaction of its cursor.

    The order is (transaction, position) below the horizon, the oldest transaction that still
    writes: nothing is skipped, and each stream comes in its own order. One of the instances works
    at a time. `apply` that raises is tried again with growing delay: the projection stands still,
    which its lag shows. `generation` tells the read models apart while one is built anew.
    """

    def __init__(
        self,
        db: Database,
        name: str,
        apply: Apply,
        *,
        batch: int = 500,
        generation: int = 1,
    ) -> None:
        self._db = db
        self._apply = apply
        self._batch = batch
        self._id = (name, generation)
        self._labels = (("weft.projection.name", name),)
        self._horizon = Horizon()
        self._measured = 0.0
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self.name = f"projection {name}"

    async def start(self) -> None:
        """Begin in the background."""
        self._stopping = False
        self._db.signals.connect(event_log.SIGNAL, self._wake.set)
        self._task = asyncio.create_task(self._run(), name=self.name, context=Context())

    async def check(self) -> None:
        """Raise Unavailable if the task has ended. The database has a check of its own."""
        if self._task is None or self._task.done():
            raise Unavailable(self.name, "it does not run")

    async def stop(self) -> None:
        """Finish the batch in hand."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping = True
        self._wake.set()
        try:
            await task
        finally:
            self._db.signals.disconnect(event_log.SIGNAL, self._wake.set)
            _lag.pop(self._labels, None)
            _age.pop(self._labels, None)

    async def _run(self) -> None:
        backoff = Backoff(first=0.2, longest=30.0)
        while not self._stopping:
            try:
                await self._db.execute(_REGISTER, *self._id)
                while not self._stopping:
                    await self._round()
                    backoff.reset()
            except Unavailable as error:
                log.warning("projection waits for the database", **{"weft.why": error.why})
                await self._sleep(backoff.next())
            except Exception as error:
                log.exception("projection failed", error, **{"weft.projection.name": self._id[0]})
                self._wake.clear()
                await self._sleep(backoff.next())

    async def _round(self) -> None:
        self._wake.clear()
        seen = await self._db.fetchrow(_PEEK, *self._id)
        if seen is None:
            raise LookupError("the projection's cursor is gone")
        _age[self._labels] = self._horizon.age(int(seen["xmin"]), int(seen["xmax"]))
        await self._measure(waiting=seen["waiting"])
        if seen["ready"]:
            if not await self._step():
                await self._sleep(_BLOCKED)
        else:
            await self._sleep(_BLOCKED if seen["waiting"] else POLL)

    async def _step(self) -> bool:
        """Apply one batch. Return False if another instance is at it."""
        async with self._db.transaction() as tx:
            cursor = await tx.fetchrow(f"{_CURSOR} FOR UPDATE SKIP LOCKED", *self._id)
            if cursor is None:
                return False
            rows = await tx.fetch(_READ, cursor["tx"], cursor["position"], self._batch)
            if rows:
                await self._apply(tx, [stored(row) for row in rows])
                await tx.execute(_MOVE, *self._id, rows[-1]["transaction"], rows[-1]["position"])
        return True

    async def _measure(self, *, waiting: bool) -> None:
        if not waiting:
            _lag[self._labels] = 0.0
        elif time.monotonic() - self._measured > _MEASURE:
            self._measured = time.monotonic()
            _lag[self._labels] = await self._db.fetchval(_COUNT, *self._id, _COUNTED)

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
