"""The provider's table of authorisations, and the idempotency keys that its callers gave."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

import msgspec
from asyncpg import Record

from services.card_provider.domain import Status, Verdict
from weft.postgres import Database, Executor, Transaction

Action = Literal["authorize", "capture", "void"]


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """A row. Times are those at which it came to that status; `number` is its place in the list."""

    payment_id: str
    number: int
    amount_minor: int | None
    currency: str | None
    status: Status | None
    reason: str | None
    calls: int
    authorized_at: datetime | None
    captured_at: datetime | None
    voided_at: datetime | None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What the webhook is to be told. `attempts` counts from 1 and fences."""

    payment_id: str
    attempts: int
    carrier: dict[str, str]


_COLUMNS: Final = """a.payment_id, a.number, a.amount_minor, a.currency, a.status, a.reason,
    a.calls, a.authorized_at, a.captured_at, a.voided_at"""


async def take_key(
    tx: Transaction, *, key: str, action: Action, payment_id: str, amount_minor: int = 0
) -> bool:
    """Record an idempotency key; false if it was given before for something else."""
    await tx.execute(
        """INSERT INTO idempotency_keys (key, action, payment_id, amount_minor)
        VALUES ($1, $2, $3, $4) ON CONFLICT (key, action) DO NOTHING""",
        key,
        action,
        payment_id,
        amount_minor,
    )
    same: bool = await tx.fetchval(
        """SELECT payment_id = $3 AND amount_minor = $4 FROM idempotency_keys
        WHERE key = $1 AND action = $2""",
        key,
        action,
        payment_id,
        amount_minor,
    )
    return same


async def call_for(
    tx: Transaction, *, payment_id: str, amount_minor: int, currency: str
) -> Authorization:
    """Count one more call for a payment's authorisation; lock and return its row."""
    row = await tx.fetchrow(
        f"""
        INSERT INTO authorizations AS a (payment_id, amount_minor, currency, calls)
        VALUES ($1, $2, $3, 1)
        ON CONFLICT (payment_id) DO UPDATE SET calls = a.calls + 1
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - the column list is a constant
        payment_id,
        amount_minor,
        currency,
    )
    return _authorization(_present(row))


async def decide(
    tx: Transaction,
    payment_id: str,
    verdict: Verdict,
    *,
    notice_in: float | None,
    carrier: Mapping[str, str],
) -> None:
    """Record a verdict; where it is pending, the webhook is told in `notice_in` seconds."""
    await tx.execute(
        """
        UPDATE authorizations SET
            status = $2, reason = $3, carrier = $5,
            authorized_at = CASE WHEN $2 = 'authorized' THEN clock_timestamp() END,
            notice_due_at = now() + make_interval(secs => $4)
        WHERE payment_id = $1
        """,
        payment_id,
        verdict.status,
        verdict.reason,
        notice_in,
        msgspec.json.encode(carrier).decode() if notice_in is not None else None,
    )


async def lock(tx: Transaction, payment_id: str) -> Authorization:
    """Lock and return a row; one that was never heard of is made, without a status."""
    await tx.execute(
        "INSERT INTO authorizations (payment_id) VALUES ($1) ON CONFLICT (payment_id) DO NOTHING",
        payment_id,
    )
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM authorizations a WHERE payment_id = $1 FOR UPDATE",  # noqa: S608 - constant
        payment_id,
    )
    return _authorization(_present(row))


async def capture(tx: Transaction, payment_id: str) -> None:
    """Record a capture."""
    await tx.execute(
        """UPDATE authorizations SET status = 'captured',
        captured_at = coalesce(captured_at, clock_timestamp()) WHERE payment_id = $1""",
        payment_id,
    )


async def void(tx: Transaction, payment_id: str) -> None:
    """Record a void. A notice that is due later is told all the same, as the late word it is."""
    await tx.execute(
        """UPDATE authorizations SET status = 'voided',
        voided_at = coalesce(voided_at, clock_timestamp()) WHERE payment_id = $1""",
        payment_id,
    )


async def find(db: Executor, payment_id: str) -> Authorization | None:
    """Return an authorisation, None if there is none."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM authorizations a WHERE payment_id = $1",  # noqa: S608 - constant
        payment_id,
    )
    return None if row is None else _authorization(row)


async def page(db: Database, *, before: int | None, limit: int) -> list[Authorization]:
    """Return up to `limit` authorisations, newest first, older than number `before`."""
    rows = await db.fetch(
        f"""SELECT {_COLUMNS} FROM authorizations a WHERE $1::bigint IS NULL OR number < $1
        ORDER BY number DESC LIMIT $2""",  # noqa: S608 - the column list is a constant
        before,
        limit,
    )
    return [_authorization(row) for row in rows]


async def claim_notices(db: Executor, *, limit: int, lease: float) -> list[Notice]:
    """Authorise what is pending and due, and claim for `lease` seconds what is to be told."""
    rows = await db.fetch(
        """
        UPDATE authorizations SET
            status = CASE WHEN status = 'pending' THEN 'authorized' ELSE status END,
            authorized_at =
                CASE status WHEN 'pending' THEN clock_timestamp() ELSE authorized_at END,
            notice_attempts = notice_attempts + 1,
            notice_due_at = now() + make_interval(secs => $2)
        WHERE payment_id IN (
            SELECT payment_id FROM authorizations WHERE notice_due_at <= now()
            ORDER BY notice_due_at LIMIT $1 FOR UPDATE SKIP LOCKED
        )
        RETURNING payment_id, notice_attempts, carrier
        """,
        limit,
        lease,
    )
    return [
        Notice(
            payment_id=str(row["payment_id"]),
            attempts=row["notice_attempts"],
            carrier=msgspec.json.decode(row["carrier"] or "{}", type=dict[str, str]),
        )
        for row in rows
    ]


async def settle_notice(db: Executor, notice: Notice, *, again_in: float | None) -> None:
    """Forget a notice that was told (None), or tell it again in `again_in` seconds."""
    await db.execute(
        """UPDATE authorizations SET notice_due_at = now() + make_interval(secs => $3)
        WHERE payment_id = $1 AND notice_attempts = $2 AND notice_due_at IS NOT NULL""",
        notice.payment_id,
        notice.attempts,
        again_in,
    )


def _present(row: Record | None) -> Record:
    assert row is not None  # noqa: S101 - the statements before it made the row
    return row


def _authorization(row: Record) -> Authorization:
    values = dict(row)
    values["payment_id"] = str(values["payment_id"])
    values["status"] = Status(values["status"]) if values["status"] else None
    return Authorization(**values)
