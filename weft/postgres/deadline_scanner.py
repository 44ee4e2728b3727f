"""Firing deadlines that are due, each once, in one of the instances."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

import asyncpg
import msgspec

from weft.errors import Unavailable
from weft.postgres.database import Database
from weft.postgres.deadlines import NEAR, SIGNAL
from weft.postgres.errors import CONFLICTS
from weft.postgres.transaction import Transaction
from weft.postgres.woken import Woken
from weft.telemetry import attach, counter, detach, get_logger

log = get_logger(__name__)

Handler = Callable[[Transaction, str], Awaitable[None]]

WORKERS = 4
_LONGEST_WAIT = 30.0
_CONFLICT_WAIT = 0.05
_OTHERS_AT_WORK = 0.05

_PEEK = (
    "SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float8"
    " FROM weft.deadlines WHERE kind = ANY($1::text[])"
)
# Deleted before the handler runs, so that this may set the same deadline again.
_CLAIM = (
    "DELETE FROM weft.deadlines WHERE (kind, key) = (SELECT kind, key FROM weft.deadlines"
    " WHERE due_at <= statement_timestamp() AND kind = ANY($1::text[])"
    " ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING kind, key, carrier, attempts"
)
_POSTPONE = (
    "UPDATE weft.deadlines SET attempts = attempts + 1,"
    " due_at = clock_timestamp() + make_interval(secs => $3) WHERE kind = $1 AND key = $2"
)

_fired = counter("weft.deadlines.fired", "{deadline}", "Deadlines whose handler has run.")


class DeadlineScanner(Woken):
    """Component: runs `handlers[kind](tx, key)` in the transaction that deletes the deadline.

    It wakes when the next deadline is due, at least every second. A handler that raises is tried
    again with growing delay, without end. Several scanners share the work.
    """

    def __init__(
        self, db: Database, handlers: Mapping[str, Handler], *, name: str = "deadlines"
    ) -> None:
        super().__init__(db, SIGNAL, name=name)
        self._handlers = dict(handlers)
        self._kinds = sorted(handlers)

    async def _round(self) -> None:
        self._wake.clear()
        due_in = await self._db.fetchval(_PEEK, self._kinds)
        if due_in is None or due_in > 0:
            await self._sleep(NEAR if due_in is None else min(due_in, NEAR))
        elif not any(await asyncio.gather(*(self._drain() for _ in range(WORKERS)))):
            await self._sleep(_OTHERS_AT_WORK * random.uniform(0.5, 1))

    async def _drain(self) -> bool:
        """Fire until nothing is due. Return whether anything was."""
        found = False
        while not self._stopping.is_set() and await self._fire():
            found = True
        return found

    async def _fire(self) -> bool:
        row: asyncpg.Record | None = None
        try:
            async with self._db.transaction() as tx:
                row = await tx.fetchrow(_CLAIM, self._kinds)
                if row is None:
                    return False
                await self._handle(tx, row)
        except Unavailable:
            raise
        except Exception as error:
            if row is None:
                raise
            await self._postpone(row, error)
        else:
            _fired.add(1, {"weft.deadline.kind": row["kind"]})
        return True

    async def _handle(self, tx: Transaction, row: asyncpg.Record) -> None:
        token = attach(msgspec.json.decode(row["carrier"], type=dict[str, str]))
        try:
            await self._handlers[row["kind"]](tx, row["key"])
        finally:
            detach(token)

    async def _postpone(self, row: asyncpg.Record, error: Exception) -> None:
        wait = _CONFLICT_WAIT
        if not isinstance(error, CONFLICTS):
            wait = min(2.0 ** min(row["attempts"], 10), _LONGEST_WAIT)
            facts = {"weft.deadline.kind": row["kind"], "weft.deadline.key": row["key"]}
            log.exception("deadline failed", error, **facts)
        await self._db.execute(
            _POSTPONE,
            row["kind"],
            row["key"],
            wait * random.uniform(0.5, 1),
        )
