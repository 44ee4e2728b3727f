"""The SQL of scaling: what was heard of alerts, what runs took, and what was decided."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from services.report_runner.alerts import Heard, replaces
from services.report_runner.scaling import Decision
from weft.postgres import Database, Executor, Transaction

SIGNAL: Final = "scaler"
"""Emitted in the process that has heard of an alert."""
MAX_DECISIONS: Final = 10_000
"""What is kept of them, the newest."""
_MAX_RUNS: Final = 1_000
_RECENT_RUNS: Final = 200
_RECENT: Final = 600.0
"""Seconds within which a run ended that tells what one takes now."""
_FORGOTTEN: Final = 86_400.0
"""Seconds after which an alert that was not heard of again is taken for over."""
_MOST_NAMES: Final = 20

Wake = Literal["asleep", "woken", "awake"]
Phase = Literal["woke", "changed", "slept"]

_STATE: Final = """
    SELECT desired, wake,
        (SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM (
            SELECT DISTINCT name FROM alerts WHERE firing
                AND heard_at > clock_timestamp() - make_interval(secs => $1) LIMIT $2
        ) AS f) AS firing,
        (SELECT avg(seconds) FROM (
            SELECT seconds FROM runs WHERE ended_at > clock_timestamp() - make_interval(secs => $3)
            ORDER BY id DESC LIMIT $4
        ) AS r) AS service_time
    FROM workers
"""
_REMEMBER: Final = """
    INSERT INTO alerts (group_digest, fingerprint, name, firing, starts_at, heard_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (group_digest, fingerprint) DO UPDATE SET name = excluded.name,
        firing = excluded.firing, starts_at = excluded.starts_at, heard_at = excluded.heard_at
"""
_DECIDE: Final = """
    WITH ours AS (SELECT FROM weft.leases WHERE name = $1 AND epoch = $2 FOR SHARE)
    UPDATE workers SET desired = $3, wake = $4,
        changed_at = CASE WHEN desired = $3 THEN changed_at ELSE clock_timestamp() END
    WHERE EXISTS (SELECT FROM ours)
"""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision needs beside the facts of the queue: workers that there should be now, names
    of alerts that fire, and the mean time of recent runs in seconds, None without any."""

    desired: int
    wake: Wake
    firing: list[str]
    service_time: float | None


async def state(where: Executor) -> State:
    """Return how things stand. Raises Unavailable."""
    row = await where.fetchrow(_STATE, _FORGOTTEN, _MOST_NAMES, _RECENT, _RECENT_RUNS)
    if row is None:
        raise LookupError("the row of workers is missing")
    return State(**dict(row))


async def hear(db: Database, group: str, told: Sequence[Heard]) -> int:
    """Take what is told of alerts of one group; return how many of them were news.

    One that fires wakes whoever decides, in whichever instance. Raises Unavailable.
    """
    async with db.transaction() as tx:
        await tx.execute("SELECT FROM workers FOR UPDATE")  # one takes alerts at a time
        known = await _known(tx, group)
        taken = [one for one in told if replaces(one, known.get(one.fingerprint))]
        for one in taken:
            await tx.execute(
                _REMEMBER,
                group,
                one.fingerprint,
                one.name,
                one.firing,
                one.starts_at,
                one.heard_at,
            )
        await tx.execute(
            "DELETE FROM alerts WHERE heard_at < clock_timestamp() - make_interval(secs => $1)",
            _FORGOTTEN,
        )
        if any(one.firing for one in taken):
            await tx.execute("UPDATE workers SET wake = 'woken' WHERE wake = 'asleep'")
            tx.on_commit(lambda: db.signals.emit(SIGNAL))
    return sum(_is_news(one, known.get(one.fingerprint)) for one in taken)


async def decide(
    where: Executor, *, lease: str, epoch: int, phase: Phase, decision: Decision, alerts: list[str]
) -> bool:
    """Let there be as many workers as was decided, and store why.

    Return False, and do nothing, if `lease` is held in another epoch. Raises Unavailable.
    """
    wake: Wake = "asleep" if phase == "slept" else "awake"
    done = await where.execute(_DECIDE, lease, epoch, decision.workers, wake)
    if done != "UPDATE 1":
        return False
    await where.execute(
        "WITH new AS (INSERT INTO decisions (phase, before, workers, reason, alerts, inputs)"
        " VALUES ($1, $2, $3, $4, $5, $6) RETURNING id)"
        " DELETE FROM decisions WHERE id <= (SELECT id FROM new) - $7",
        phase,
        decision.before,
        decision.workers,
        decision.reason,
        alerts,
        msgspec.json.encode(decision).decode(),
        MAX_DECISIONS,
    )
    return True


async def took(where: Executor, seconds: float) -> None:
    """Store how long a run of a worker took that came to an end. Raises Unavailable."""
    await where.execute(
        "WITH new AS (INSERT INTO runs (seconds) VALUES ($1) RETURNING id)"
        " DELETE FROM runs WHERE id <= (SELECT id FROM new) - $2",
        seconds,
        _MAX_RUNS,
    )


async def _known(tx: Transaction, group: str) -> dict[str, Heard]:
    rows = await tx.fetch(
        "SELECT fingerprint, name, firing, starts_at, heard_at FROM alerts WHERE group_digest = $1",
        group,
    )
    return {row["fingerprint"]: Heard(**dict(row)) for row in rows}


def _is_news(told: Heard, known: Heard | None) -> bool:
    if known is None:
        return told.firing
    return (told.firing, told.starts_at) != (known.firing, known.starts_at)
