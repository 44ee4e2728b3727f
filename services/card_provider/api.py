"""What the provider's customers call, and the ledger for tests."""

import asyncio
import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from services.card_provider import domain, store
from services.card_provider.domain import Failing, Habits, Impossible, Status, Verdict
from services.card_provider.store import Action, Authorization
from weft.flags import strikes
from weft.http import Problem, Request, Routes, busy
from weft.postgres import Database, Transaction
from weft.telemetry import counter, current_carrier, is_synthetic

HANG: Final = 60.0
"""Seconds for which tok_down keeps its caller waiting at most, before a 503."""
LOOK: Final = 0.25
"""Seconds between two looks whether that caller is still there."""

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_UUID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CURSOR: Final = "^[1-9][0-9]{0,17}$"

authorizations = counter(
    "weft.card_provider.authorizations", "{authorization}", "Authorisations by their first verdict."
)


class AuthorizationBody(Struct, frozen=True, kw_only=True):
    payment_id: Annotated[str, Meta(pattern=f"^{_UUID.pattern}$(?!\\n)")]
    amount_minor: Annotated[int, Meta(ge=1, le=domain.MAX_AMOUNT_MINOR)]
    currency: Literal["EUR"]
    token: Annotated[str, Meta(pattern=r"^tok_[a-z]+$(?!\n)", max_length=255)]

    def __repr__(self) -> str:
        return f"AuthorizationBody({self.payment_id})"


class AuthorizationView(Struct, frozen=True, kw_only=True):
    """Where the authorisation stands now, also when a key is given again."""

    payment_id: str
    status: Status
    reason: str | None = None


class LedgerEntry(Struct, frozen=True, kw_only=True):
    payment_id: str
    amount_minor: int | None
    currency: str | None
    status: Status | None
    authorized_at: datetime | None
    captured_at: datetime | None
    voided_at: datetime | None


class Ledger(Struct, frozen=True, kw_only=True):
    """Newest first; `next` is the cursor of the following page, null on the last."""

    entries: list[LedgerEntry]
    next: str | None


class Page(Struct, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(pattern=_CURSOR)] | None = None


def routes(db: Database, habits: Habits) -> Routes:
    """Return the routes of the provider."""
    api = Routes()

    @api.post("/v1/authorizations", summary="Authorise a payment")
    async def authorize(request: Request, body: AuthorizationBody) -> AuthorizationView:
        key = _key(request)
        _fail_by_flag()
        await _dawdle(request, body.token)
        async with db.transaction() as tx:
            result = await _authorized(tx, key, body, habits)
        if isinstance(result, Failing):
            raise Problem(result.status, detail="The provider is out of order.")
        return result

    @api.get("/v1/authorizations/{payment_id}", summary="Show an authorisation")
    async def show(request: Request) -> AuthorizationView:
        _fail_by_flag()
        found = await store.find(db, _payment_id(request))
        if found is None or found.status is None:
            raise Problem(404, detail="There is no such authorisation.")
        return _view(found)

    @api.post("/v1/authorizations/{payment_id}/capture", summary="Take the money")
    async def capture(request: Request) -> AuthorizationView:
        return await _settle(db, request, "capture")

    @api.post("/v1/authorizations/{payment_id}/void", summary="Give an authorisation up")
    async def void(request: Request) -> AuthorizationView:
        return await _settle(db, request, "void")

    @api.get("/v1/ledger", summary="List what was authorised, captured and voided")
    async def ledger(_: Request, query: Page) -> Ledger:
        before = None if query.cursor is None else int(query.cursor)
        found = await store.page(db, before=before, limit=query.limit + 1)
        shown = found[: query.limit]
        more = len(found) > query.limit
        return Ledger(
            entries=[_entry(authorization) for authorization in shown],
            next=str(shown[-1].number) if more else None,
        )

    return api


def _fail_by_flag() -> None:
    if strikes("payment-failures"):
        raise Problem(503, detail="The provider is out of order.")


async def _dawdle(request: Request, token: str) -> None:
    if token == "tok_slow":  # noqa: S105 - a name, no secret
        await asyncio.sleep(domain.SLOW)
    if token == "tok_down":  # noqa: S105 - a name, no secret
        for _ in range(round(HANG / LOOK)):
            if request.http.transport is None:
                break
            await asyncio.sleep(LOOK)
        raise busy("The provider does not answer.")


async def _authorized(
    tx: Transaction, key: str, body: AuthorizationBody, habits: Habits
) -> AuthorizationView | Failing:
    payment_id = body.payment_id
    await _take(tx, key, "authorize", payment_id, body.amount_minor)
    found = await store.call_for(
        tx, payment_id=payment_id, amount_minor=body.amount_minor, currency=body.currency
    )
    if found.amount_minor not in (None, body.amount_minor):
        raise Problem(422, detail="The payment was asked for with another amount.")
    if found.status is not None:
        return _view(found)
    try:
        verdict = domain.judge(body.token, found.calls)
    except Failing as failing:
        return failing
    await _decide(tx, payment_id, verdict, habits.decided_in(payment_id))
    return AuthorizationView(payment_id=payment_id, status=verdict.status, reason=verdict.reason)


async def _decide(tx: Transaction, payment_id: str, verdict: Verdict, decided_in: float) -> None:
    notice_in = decided_in if verdict.status is Status.PENDING else None
    carrier = current_carrier()
    await store.decide(tx, payment_id, verdict, notice_in=notice_in, carrier=carrier)
    attributes = {"weft.payment.state": verdict.status.value}
    if not is_synthetic():
        tx.on_commit(lambda: authorizations.add(1, attributes))


async def _settle(
    db: Database, request: Request, action: Literal["capture", "void"]
) -> AuthorizationView:
    key, payment_id = _key(request), _payment_id(request)
    _fail_by_flag()
    async with db.transaction() as tx:
        await _take(tx, key, action, payment_id)
        found = await store.lock(tx, payment_id)
        try:
            status = domain.settle(found.status, action)
        except Impossible as error:
            raise Problem(409, detail=f"{error}.") from None
        if status is Status.CAPTURED:
            await store.capture(tx, payment_id)
        if status is Status.VOIDED:
            await store.void(tx, payment_id)
    return AuthorizationView(payment_id=payment_id, status=status, reason=found.reason)


async def _take(
    tx: Transaction, key: str, action: Action, payment_id: str, amount_minor: int = 0
) -> None:
    same = await store.take_key(
        tx, key=key, action=action, payment_id=payment_id, amount_minor=amount_minor
    )
    if not same:
        raise Problem(422, detail="The Idempotency-Key was given before with another request.")


def _key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not _KEY.fullmatch(key):
        raise Problem(400, detail="Idempotency-Key: expected 1 to 255 printable characters.")
    return key


def _payment_id(request: Request) -> str:
    payment_id = request.path["payment_id"]
    if not _UUID.fullmatch(payment_id):
        raise Problem(404, detail="There is no such authorisation.")
    return payment_id


def _view(found: Authorization) -> AuthorizationView:
    assert found.status is not None  # noqa: S101 - callers have looked
    return AuthorizationView(payment_id=found.payment_id, status=found.status, reason=found.reason)


def _entry(found: Authorization) -> LedgerEntry:
    names: dict[str, Any] = {name: getattr(found, name) for name in LedgerEntry.__struct_fields__}
    return LedgerEntry(**names)
