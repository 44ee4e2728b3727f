"""What runners may do with reports, over HTTP: claim one, keep it, give it back, say its result.

Calls need the scope reports:run; the result comes as a webhook (Standard Webhooks), so that a
runner may store it and forget it. None of this is public: the gateway knows none of these paths.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from services.reports import store
from services.reports.domain import Format, Kind
from services.reports.requests import Requests
from services.reports.store import Backlog
from weft.http import Problem, Reply, Request, Routes
from weft.postgres import Database, Transaction, retry_on_conflict
from weft.settings import Secret
from weft.telemetry import get_logger
from weft.webhooks import InvalidWebhook, first_receipt, verify

RUN: Final = "reports:run"
UUID_FORM: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SOURCE: Final = "report_runner"
Word = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,79}$(?!\n)")]
Id = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$(?!\n)")]
Fence = Annotated[int, Meta(ge=1, le=2**62)]
Count = Annotated[int, Meta(ge=0, le=2**40)]
T = TypeVar("T")

log = get_logger(__name__)


class ClaimWish(msgspec.Struct, frozen=True, kw_only=True):
    claim_id: Id
    runner: Annotated[str, Meta(max_length=80)]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A report in a runner's hands; `lease` and `remaining` in seconds."""

    report_id: str
    fence: int
    kind: Kind
    first: date
    end: date
    format: Format
    lease: float
    remaining: float
    synthetic: bool


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    fence: Fence
    stage: Word
    percent: Annotated[int, Meta(ge=0, le=100)]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    fence: Fence
    why: Word
    again_in: Annotated[float, Meta(ge=0, le=3600)]
    spent: bool


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The name of an artifact, its rows, its size in bytes."""

    artifact: Annotated[str, Meta(pattern=r"^[0-9a-f-]{36}/[0-9]{1,19}\.[a-z]{3,7}$(?!\n)")]
    rows: Count
    bytes: Count


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Made, or the reason why it cannot be."""

    report_id: Id
    fence: Fence
    made: Made | None = None
    reason: Word | None = None


class ResultWebhook(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["report.result"]
    timestamp: Annotated[str, Meta(max_length=40)]
    data: Outcome


def routes(db: Database, requests: Requests, secrets: Sequence[Secret]) -> Routes:
    """Return the routes for runners; one of `secrets` signs the results."""
    runs = _Runs(db, requests, secrets)
    one = "/runs/{report_id}"
    serve = Routes()
    serve.get("/runs", scope=RUN, listed=False, quiet=True)(runs.backlog)
    serve.post(f"{one}/claim", scope=RUN, listed=False)(runs.claim)
    serve.post(f"{one}/progress", scope=RUN, listed=False)(runs.progress)
    serve.post(f"{one}/release", scope=RUN, listed=False)(runs.release)
    serve.post("/webhooks/report-runner", public=True, status=204, listed=False)(runs.result)
    return serve


class _Runs:
    def __init__(self, db: Database, requests: Requests, secrets: Sequence[Secret]) -> None:
        self._db = db
        self._requests = requests
        self._secrets = secrets

    async def backlog(self, _: Request) -> Backlog:
        return await store.backlog(self._db)

    async def claim(self, request: Request, body: ClaimWish) -> Claim:
        report_id = _report_id(request)
        request.set("weft.report.runner", body.runner)

        async def work(tx: Transaction) -> Claim:
            claimed = await self._requests.claim(tx, report_id, body.claim_id)
            if claimed is None:
                raise Problem(409, detail="This report is not to be had.")
            report = claimed.report
            return Claim(
                report_id=report.report_id,
                fence=report.fence,
                kind=report.kind,
                first=report.first_day,
                end=report.end_day,
                format=report.format,
                lease=self._requests.lease,
                remaining=claimed.remaining,
                synthetic=report.synthetic,
            )

        return await self._transaction(work)

    async def progress(self, request: Request, body: Progress) -> dict[str, str]:
        report_id = _report_id(request)

        async def work(tx: Transaction) -> dict[str, str]:
            kept = await self._requests.progress(
                tx, report_id, body.fence, stage=body.stage, percent=body.percent
            )
            return _or_lost(kept)

        return await self._transaction(work)

    async def release(self, request: Request, body: Release) -> dict[str, str]:
        report_id = _report_id(request)

        async def work(tx: Transaction) -> dict[str, str]:
            had = await self._requests.release(
                tx, report_id, body.fence, why=body.why, again_in=body.again_in, spent=body.spent
            )
            return _or_lost(had)

        return await self._transaction(work)

    async def result(self, request: Request, body: ResultWebhook) -> Reply[None]:
        try:
            identity = verify(self._secrets, request.headers, request.raw)
        except InvalidWebhook as error:
            raise Problem(401, detail=f"{error}.") from None
        outcome = body.data
        request.set("weft.webhook.id", identity)
        request.set("weft.report.id", outcome.report_id)

        async def work(tx: Transaction) -> None:
            if await first_receipt(tx, source=_SOURCE, id=identity):
                await self._conclude(tx, outcome)

        await self._transaction(work)
        return Reply()

    async def _conclude(self, tx: Transaction, outcome: Outcome) -> None:
        made = outcome.made
        ended = await self._requests.end(
            tx,
            outcome.report_id,
            "failed" if made is None else "finished",
            reason=None if made else outcome.reason or "unknown",
            fence=outcome.fence,
            made=None if made is None else (made.artifact, made.rows, made.bytes),
        )
        if ended is None:
            log.warning("result came too late", **{"weft.report.id": outcome.report_id})

    async def _transaction(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async def once() -> T:
            async with self._db.transaction() as tx:
                return await work(tx)

        return await retry_on_conflict(once)


def _report_id(request: Request) -> str:
    report_id = request.path["report_id"].lower()
    if not UUID_FORM.fullmatch(report_id):
        raise Problem(404, detail="There is no such report.")
    request.set("weft.report.id", report_id)
    return report_id


def _or_lost(kept: bool) -> dict[str, str]:
    if not kept:
        raise Problem(409, detail="This report is somebody else's, or has ended.")
    return {"status": "running"}
