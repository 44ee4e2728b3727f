"""Projections: read models that follow the event log, each event once."""

import time
from collections.abc import Awaitable, Callable, Sequence

from asyncpg import Record

from weft.errors import Unavailable
from weft.messaging.backoff import Backoff
from weft.postgres import event_log, generations
from weft.postgres.database import Database
from weft.postgres.event_log import StoredEvent, stored
from weft.postgres.horizon import Horizon
from weft.postgres.transaction import Transaction
from weft.postgres.woken import Woken
from weft.telemetry import gauge, get_logger

log = get_logger(__name__)

Apply = Callable[[Transaction, Sequence[StoredEvent], int], Awaitable[None]]
"""Awaited as `apply(tx, events, generation)`: writes rows of that generation."""

POLL = 1.0
_BLOCKED = 0.05
_AT_ONCE = 0.0
_MEASURE = 5.0

_Labels = tuple[tuple[str, str], ...]
_lag: dict[_Labels, float] = {}
_age: dict[_Labels, float] = {}

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

_CURSOR = (
    "SELECT tx::text, position FROM weft.projections WHERE name = $1 AND generation = $2"
    " FOR UPDATE SKIP LOCKED"
)
_PEEK = (
    "SELECT p.generation, p.live, n.tx IS NOT NULL AS waiting,"
    " coalesce(n.tx < pg_snapshot_xmin(h), false) AS ready,"
    " pg_snapshot_xmin(h)::text AS xmin, pg_snapshot_xmax(h)::text AS xmax"
    " FROM weft.projections p CROSS JOIN pg_current_snapshot() AS h LEFT JOIN LATERAL"
    " (SELECT e.tx FROM weft.events e WHERE (e.tx, e.position) > (p.tx, p.position)"
    " ORDER BY e.tx, e.position LIMIT 1) AS n ON true WHERE p.name = $1 ORDER BY p.generation"
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


class Projection(Woken):
    """Component: hands the log's events to `apply` in batches, in the transaction of its cursor.

    The order is (transaction, position) below the horizon, the oldest transaction that still
    writes: nothing is skipped, and each stream comes in its own order. One of the instances works
    at a time. `apply` that raises is tried again with growing delay: the projection stands still,
    which its lag shows.

    `tables` are those that `apply` writes, each with a column `generation`: a rebuild reads the log
    from the start into the rows of a new generation, beside the live one. When it has read as much
    as that, it becomes the live one in one transaction, and the rows of the old one are deleted.
    `interval` is the least time in seconds between two batches that are not full: what is appended
    meanwhile shares one.
    """

    def __init__(
        self,
        db: Database,
        name: str,
        apply: Apply,
        *,
        tables: Sequence[str],
        batch: int = 500,
        interval: float = 0.0,
    ) -> None:
        super().__init__(db, event_log.SIGNAL, name=f"projection {name}", longest=30.0)
        self._name = name
        self._apply = apply
        self._tables = [generations.check_table(table) for table in tables]
        self._batch = batch
        self._interval = interval
        self._labels = (("weft.projection.name", name),)
        self._horizon = Horizon()
        self._measured = 0.0
        self._rebuilding = Backoff(first=0.2, longest=30.0)
        self._rebuild_at = 0.0
        self._registered = False

    async def stop(self) -> None:
        """Finish the batch in hand."""
        await super().stop()
        for state in ("live", "rebuilding"):
            _lag.pop(self._lag_labels(state), None)
        _age.pop(self._labels, None)

    async def _round(self) -> None:
        """Something of each generation; then wait for more."""
        self._wake.clear()
        if not self._registered:
            await generations.register(self._db, self._name)
            self._registered = True
        rows = await self._db.fetch(_PEEK, self._name)
        live = next((row for row in rows if row["live"]), None)
        if live is None:
            self._registered = False
            raise LookupError("the projection's cursor is gone")
        _age[self._labels] = self._horizon.age(int(live["xmin"]), int(live["xmax"]))
        await self._measure(rows, live["generation"])
        pauses = [await self._work(row, live["generation"]) for row in rows]
        if min(pauses) > _AT_ONCE:
            await self._pause(self._interval)
            await self._sleep(min(pauses))

    async def _work(self, row: Record, live: int) -> float:
        """Return seconds until there is more to do, unless something is appended before."""
        generation = row["generation"]
        if generation > live:
            return await self._try_to_build(generation)
        if generation < live:
            async with self._db.transaction() as tx:
                busy = not await generations.drop(tx, self._name, generation, self._tables)
            return _BLOCKED if busy else _AT_ONCE
        if not row["ready"]:
            return _BLOCKED if row["waiting"] else POLL
        async with self._db.transaction() as tx:
            full = await self._advance(tx, generation) == self._batch
        return _AT_ONCE if full else _BLOCKED

    async def _try_to_build(self, generation: int) -> float:
        """A rebuild that fails does not hold up the live generation."""
        wait = self._rebuild_at - time.monotonic()
        if wait > 0:
            return wait
        try:
            pause = await self._build(generation)
        except Unavailable:
            raise
        except Exception as error:
            facts = {"weft.projection.name": self._name}
            log.exception("projection cannot be rebuilt, trying again", error, **facts)
            self._rebuild_at = time.monotonic() + self._rebuilding.next()
            return POLL
        self._rebuilding.reset()
        return pause

    async def _build(self, generation: int) -> float:
        """Read on in a generation that is not live; it becomes so when it has caught up."""
        async with self._db.transaction() as tx:
            read = await self._advance(tx, generation)
            if read is None:
                return _BLOCKED
            if read == self._batch:
                return _AT_ONCE
            live = await generations.lock_live(tx, self._name)
            await self._advance(tx, generation)  # what it read before it was locked
            switched = await generations.switch(tx, self._name, generation, live)
        if switched:
            log.info("projection rebuilt", **{"weft.projection.name": self._name})
        return _AT_ONCE

    async def _advance(self, tx: Transaction, generation: int) -> int | None:
        """Apply one batch, return its size; None if another instance is at it."""
        cursor = await tx.fetchrow(_CURSOR, self._name, generation)
        if cursor is None:
            return None
        rows = await tx.fetch(_READ, cursor["tx"], cursor["position"], self._batch)
        if rows:
            await self._apply(tx, [stored(row) for row in rows], generation)
            last = rows[-1]
            await tx.execute(_MOVE, self._name, generation, last["transaction"], last["position"])
        return len(rows)

    async def _measure(self, rows: Sequence[Record], live: int) -> None:
        waiting = {
            "live" if row["live"] else "rebuilding": row
            for row in rows
            if row["waiting"] and row["generation"] >= live
        }
        due = time.monotonic() - self._measured > _MEASURE
        if due and waiting:
            self._measured = time.monotonic()
        for state in ("live", "rebuilding"):
            if state not in waiting:
                _lag[self._lag_labels(state)] = 0.0
            elif due:
                generation = waiting[state]["generation"]
                _lag[self._lag_labels(state)] = await self._db.fetchval(
                    _COUNT, self._name, generation, generations.COUNTED
                )

    def _lag_labels(self, state: str) -> _Labels:
        return (*self._labels, ("weft.projection.state", state))
