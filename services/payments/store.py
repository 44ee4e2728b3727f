"""A payment as the event log tells it, and the rows of the provider calls that are open."""

from collections.abc import Mapping
from typing import Final

import msgspec
from asyncpg import Record

from services.payments.domain import Call, State
from weft.postgres import Executor, StoredEvent, Transaction

STATES: Final = {
    "payment.requested": State.REQUESTED,
    "payment.authorized": State.AUTHORIZED,
    "payment.declined": State.DECLINED,
    "payment.capture_requested": State.CAPTURING,
    "payment.captured": State.CAPTURED,
    "payment.void_requested": State.VOIDING,
    "payment.voided": State.VOIDED,
}
"""The state that an event's type tells of."""


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as its events tell it. `version` counts them; 0 has none yet."""

    payment_id: str
    order_id: str
    version: int = 0
    state: State | None = None
    amount_minor: int = 0
    currency: str = ""
    reason: str = ""


class OpenCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that this instance has claimed. `attempts` counts from 1; with `call` it fences.

    `age` is the seconds since it was opened,
    `carrier` is the trace context of the message that asked for it.
    """

    payment_id: str
    order_id: str
    call: Call
    amount_minor: int
    currency: str
    token: str | None
    carrier: dict[str, str]
    attempts: int
    age: float

    def __repr__(self) -> str:
        return f"OpenCall({self.payment_id}, {self.call}, attempts={self.attempts})"


class _Fact(msgspec.Struct):
    order_id: str
    amount_minor: int = 0
    currency: str = ""
    reason: str = ""


def stream(payment_id: str) -> str:
    """Return the name of a payment's stream in the event log."""
    return f"payment-{payment_id}"


def fold(payment_id: str, history: list[StoredEvent]) -> Payment | None:
    """Return the payment that `history` tells of, None for no event."""
    if not history:
        return None
    facts = [msgspec.json.decode(event.data, type=_Fact) for event in history]
    return Payment(
        payment_id=payment_id,
        order_id=facts[0].order_id,
        version=history[-1].version,
        state=STATES[history[-1].type],
        amount_minor=facts[0].amount_minor,
        currency=facts[0].currency,
        reason=facts[-1].reason,
    )


async def open_call(
    tx: Transaction, payment: Payment, call: Call, *, token: str | None, carrier: Mapping[str, str]
) -> None:
    """Make `call` the payment's one open call, in place of any other."""
    await tx.execute(
        """
        INSERT INTO provider_calls
            (payment_id, call, order_id, amount_minor, currency, token, carrier)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (payment_id) DO UPDATE SET
            call = excluded.call, token = excluded.token, carrier = excluded.carrier,
            attempts = 0, opened_at = now(), due_at = now(), claimed_by = NULL
        """,
        payment.payment_id,
        call,
        payment.order_id,
        payment.amount_minor,
        payment.currency,
        token,
        msgspec.json.encode(carrier).decode(),
    )


async def close_call(tx: Transaction, payment_id: str) -> None:
    """Forget the payment's open call, and the token with it."""
    await tx.execute("DELETE FROM provider_calls WHERE payment_id = $1", payment_id)


async def claim(
    db: Executor, *, instance: str, limit: int, lease: float, only_new: bool = False
) -> list[OpenCall]:
    """Claim up to `limit` due calls for `lease` seconds, those tried least first.

    With `only_new` those that were tried before are left.
    """
    rows = await db.fetch(
        """
        UPDATE provider_calls SET
            attempts = attempts + 1, claimed_by = $1, due_at = now() + make_interval(secs => $3)
        WHERE payment_id IN (
            SELECT payment_id FROM provider_calls
            WHERE due_at <= now() AND (attempts = 0 OR NOT $4)
            ORDER BY attempts, due_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        RETURNING payment_id, order_id, call, amount_minor, currency, token, carrier, attempts,
            extract(epoch FROM now() - opened_at)::float8 AS age
        """,
        instance,
        limit,
        lease,
        only_new,
    )
    return [_open_call(row) for row in rows]


async def unclaim(db: Executor, *, instance: str) -> None:
    """Make due again what an earlier process of this instance had claimed when it ended."""
    await db.execute(
        "UPDATE provider_calls SET due_at = now(), claimed_by = NULL WHERE claimed_by = $1",
        instance,
    )


async def postpone(db: Executor, call: OpenCall, *, due_in: float, inquire: bool = False) -> None:
    """Let `call` be tried again in `due_in` seconds, as an inquiry if its answer was "pending"."""
    await db.execute(
        """
        UPDATE provider_calls SET
            due_at = now() + make_interval(secs => $4),
            claimed_by = NULL,
            call = CASE WHEN $5 THEN 'inquire' ELSE call END,
            token = CASE WHEN $5 THEN NULL ELSE token END
        WHERE payment_id = $1 AND call = $2 AND attempts = $3
        """,
        call.payment_id,
        call.call,
        call.attempts,
        due_in,
        inquire,
    )


async def inquire_no_more(db: Executor, call: OpenCall) -> None:
    """Leave a pending authorisation to the webhook and to orders, which can void it."""
    await db.execute(
        """UPDATE provider_calls SET due_at = 'infinity', claimed_by = NULL,
            call = 'inquire', token = NULL
        WHERE payment_id = $1 AND call = $2 AND attempts = $3""",
        call.payment_id,
        call.call,
        call.attempts,
    )


async def open_calls(db: Executor) -> tuple[int, float]:
    """Return how many calls are still to succeed, and for how many seconds the oldest one is."""
    row = await db.fetchrow(
        """SELECT count(*) AS count,
            coalesce(extract(epoch FROM now() - min(opened_at)), 0)::float8 AS age
        FROM provider_calls"""
    )
    return (row["count"], row["age"]) if row is not None else (0, 0.0)


def _open_call(row: Record) -> OpenCall:
    values = dict(row)
    values["payment_id"] = str(values["payment_id"])
    values["order_id"] = str(values["order_id"])
    values["call"] = Call(values["call"])
    values["carrier"] = msgspec.json.decode(values["carrier"], type=dict[str, str])
    return OpenCall(**values)
