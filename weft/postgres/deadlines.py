"""Deadlines: rows, not timers in memory, so that they survive every process."""

import msgspec

from weft.postgres.database import Database
from weft.postgres.executor import Executor
from weft.telemetry import current_carrier

SIGNAL = "deadlines"
"""Emitted in this process after a deadline within `NEAR` seconds was committed."""

NEAR = 1.0

_SET = (
    "INSERT INTO weft.deadlines (kind, key, due_at, carrier)"
    " VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3), $4)"
    " ON CONFLICT (kind, key) DO UPDATE"
    " SET due_at = excluded.due_at, carrier = excluded.carrier, attempts = 0"
)
# One that a scanner has in hand is left to it: waiting for it could end in a deadlock, since its
# handler waits for what this transaction holds.
_CANCEL = (
    "DELETE FROM weft.deadlines WHERE (kind, key) IN (SELECT kind, key FROM weft.deadlines"
    " WHERE kind = $1 AND key = $2 FOR UPDATE SKIP LOCKED)"
)


class Deadlines:
    """Sets and cancels deadlines in the transaction of what they belong to."""

    def __init__(self, db: Database) -> None:
        self._signals = db.signals

    async def set(self, where: Executor, kind: str, key: str, *, due_in: float) -> None:
        """Let the handler of `kind` run with `key` in `due_in` seconds. Set again, it is moved.

        The handler continues the trace that is current now.
        """
        carrier = msgspec.json.encode(current_carrier()).decode()
        await where.execute(_SET, kind, key, due_in, carrier)
        if due_in <= NEAR:
            where.on_commit(self._wake)

    async def cancel(self, where: Executor, kind: str, key: str) -> None:
        """Forget a deadline. One whose handler runs at this moment is not stopped."""
        await where.execute(_CANCEL, kind, key)

    def _wake(self) -> None:
        self._signals.emit(SIGNAL)
