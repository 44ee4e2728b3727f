"""The SQL of reports."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec
from asyncpg import Record

from services.reports.domain import HIDDEN, End, Format, Kind, Status, Wish
from weft.postgres import Executor

_COLUMNS: Final = (
    "report_id, subject, kind, first_day, end_day, format, priority, trace_id, status, stage,"
    " progress, reason, attempts, fence, created_at, finished_at, artifact, rows, bytes,"
    " synthetic"
)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A report as its row has it. `end_day` is the first day that is left out."""

    report_id: str
    subject: str
    kind: Kind
    first_day: date
    end_day: date
    format: Format
    priority: int
    trace_id: str
    status: Status
    stage: str | None
    progress: int
    reason: str | None
    attempts: int
    fence: int
    created_at: datetime
    finished_at: datetime | None
    artifact: str | None
    rows: int | None
    bytes: int | None
    synthetic: bool


class Claimed(msgspec.Struct, frozen=True):
    """A report in a runner's hands: seconds since it was asked for, and until it expires."""

    report: Report
    waited: float
    remaining: float


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """Reports waiting, the age of the oldest in seconds, being made, and ever asked for.

    Synthetic ones are left out, but for those that have waited for a while.
    """

    waiting: int = 0
    oldest: float = 0.0
    running: int = 0
    requested: int = 0


async def insert(
    tx: Executor, report_id: str, subject: str, wish: Wish, *, trace_id: str, expires_in: float
) -> None:
    """Store a report that somebody asked for; only those of customers are counted."""
    await tx.execute(
        """
        INSERT INTO reports (number, report_id, subject, kind, first_day, end_day, format, priority,
                             trace_id, expires_at, synthetic)
        OVERRIDING SYSTEM VALUE
        VALUES (CASE WHEN $10 THEN 0 ELSE nextval('reports_number_seq') END, $1, $2, $3, $4, $5, $6,
                $7, $8, now() + make_interval(secs => $9), $10)
        """,
        report_id,
        subject,
        wish.kind,
        wish.first,
        wish.end,
        wish.format,
        wish.priority,
        trace_id,
        expires_in,
        wish.synthetic,
    )


async def find(where: Executor, report_id: str, subject: str) -> Report | None:
    """Return a report of `subject`, None if there is none."""
    row = await where.fetchrow(
        f"SELECT {_COLUMNS} FROM reports WHERE report_id = $1 AND subject = $2",  # noqa: S608
        report_id,
        subject,
    )
    return None if row is None else _report(row)


async def page(
    where: Executor, subject: str, *, status: Status | None, before: str | None, limit: int
) -> list[Report]:
    """Return up to `limit` reports of `subject`, newest first, older than the report `before`."""
    rows = await where.fetch(
        f"""
        SELECT {_COLUMNS} FROM reports
        WHERE subject = $1 AND ($2::text IS NULL OR status = $2)
              AND ($3::uuid IS NULL OR report_id < $3)
        ORDER BY report_id DESC LIMIT $4
        """,  # noqa: S608 - no part of it comes from outside
        subject,
        status,
        before,
        limit,
    )
    return [_report(row) for row in rows]


async def claim(tx: Executor, report_id: str, claim_id: str, *, attempts: int) -> Claimed | None:
    """Give a report to `claim_id` that is queued, or that it has already; None if neither.

    One that was claimed `attempts` times is claimed no more.
    """
    row = await tx.fetchrow(
        f"""
        UPDATE reports SET
            fence = fence + (status = 'queued')::int,
            attempts = attempts + (status = 'queued')::int,
            status = 'running', claim = $2, stage = 'claimed', progress = 0
        WHERE report_id = $1 AND ((status = 'queued' AND attempts < $3)
                                  OR (status = 'running' AND claim = $2))
              AND expires_at > clock_timestamp()
        RETURNING {_COLUMNS},
                  extract(epoch FROM clock_timestamp() - created_at)::float8 AS waited,
                  extract(epoch FROM expires_at - clock_timestamp())::float8 AS remaining
        """,  # noqa: S608 - no part of it comes from outside
        report_id,
        claim_id,
        attempts,
    )
    return None if row is None else Claimed(_report(row), row["waited"], row["remaining"])


async def progress(
    tx: Executor, report_id: str, fence: int, *, stage: str, percent: int
) -> tuple[str, bool] | None:
    """Note how far a report is. Return its subject and whether that is news; None if it is lost."""
    row = await tx.fetchrow(
        """
        WITH before AS (SELECT stage, progress FROM reports WHERE report_id = $1 FOR UPDATE)
        UPDATE reports r SET stage = $3, progress = greatest(r.progress, $4)
        FROM before
        WHERE r.report_id = $1 AND r.fence = $2 AND r.status = 'running'
        RETURNING r.subject, (before.stage, before.progress) <> (r.stage, r.progress) AS news
        """,
        report_id,
        fence,
        stage,
        percent,
    )
    return None if row is None else (row["subject"], row["news"])


async def release(
    tx: Executor, report_id: str, fence: int, *, why: str, spent: bool
) -> Report | None:
    """Queue a report again that a runner gives back; None if it is lost already."""
    row = await tx.fetchrow(
        f"""
        UPDATE reports SET status = 'queued', stage = NULL, progress = 0, claim = NULL,
            why = $3, attempts = attempts - (NOT $4::boolean)::int
        WHERE report_id = $1 AND fence = $2 AND status = 'running'
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - no part of it comes from outside
        report_id,
        fence,
        why,
        spent,
    )
    return None if row is None else _report(row)


async def unattended(tx: Executor, report_id: str, *, why: str) -> tuple[Report, str | None] | None:
    """Queue a report that nobody has spoken for; None if it has ended. Also why it came to that."""
    row = await tx.fetchrow(
        f"""
        UPDATE reports SET why = CASE status WHEN 'running' THEN $2 ELSE why END,
            status = 'queued', stage = NULL, progress = 0, claim = NULL
        WHERE report_id = $1 AND status IN ('queued', 'running')
        RETURNING {_COLUMNS}, why
        """,  # noqa: S608 - no part of it comes from outside
        report_id,
        why,
    )
    return None if row is None else (_report(row), row["why"])


async def end(
    tx: Executor,
    report_id: str,
    status: End,
    *,
    reason: str | None = None,
    fence: int | None = None,
    made: tuple[str, int, int] | None = None,
) -> Report | None:
    """End a report that has not ended; None if it has, or if `fence` does not have it.

    `made` is artifact, rows and bytes.
    """
    artifact, rows, size = made or (None, None, None)
    row = await tx.fetchrow(
        f"""
        UPDATE reports SET status = $2, reason = $3, finished_at = now(), claim = NULL,
            progress = CASE $2 WHEN 'finished' THEN 100 ELSE progress END, stage = NULL,
            artifact = $5, rows = $6, bytes = $7
        WHERE report_id = $1 AND status IN ('queued', 'running')
              AND ($4::bigint IS NULL OR (fence = $4 AND status = 'running'))
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - no part of it comes from outside
        report_id,
        status,
        reason,
        fence,
        artifact,
        rows,
        size,
    )
    return None if row is None else _report(row)


async def ended(where: Executor, *, synthetic: bool, before: float, limit: int) -> list[UUID]:
    """Return the ids of reports that ended so many seconds ago or more, oldest first."""
    whose = "synthetic" if synthetic else "NOT synthetic"  # each has an index
    rows = await where.fetch(
        f"""
        SELECT report_id FROM reports
        WHERE finished_at < now() - make_interval(secs => $1) AND {whose}
        ORDER BY finished_at LIMIT $2
        """,  # noqa: S608 - no part of it comes from outside
        before,
        limit,
    )
    return [row["report_id"] for row in rows]


async def delete(where: Executor, report_ids: Sequence[UUID]) -> None:
    """Forget reports."""
    await where.execute("DELETE FROM reports WHERE report_id = ANY($1::uuid[])", report_ids)


async def backlog(where: Executor) -> Backlog:
    """Return how much there is to do."""
    row = await where.fetchrow(
        """
        SELECT waiting, oldest, running, requested FROM
            (SELECT count(*) AS waiting, coalesce(
                extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest
             FROM reports WHERE status = 'queued' AND (NOT synthetic
                 OR created_at < clock_timestamp() - make_interval(secs => $1))) AS q,
            (SELECT count(*) AS running FROM reports
             WHERE status = 'running' AND NOT synthetic) AS r,
            (SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS requested
             FROM reports_number_seq) AS s
        """,
        HIDDEN,
    )
    return Backlog() if row is None else Backlog(**dict(row))


def _report(row: Record) -> Report:
    values = {name: row[name] for name in Report.__struct_fields__}
    return Report(**values | {"report_id": str(UUID(bytes=row["report_id"].bytes))})
