"""The public API of reports: ask for one, see one's own, cancel, fetch."""

import re
from datetime import date, datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from services.reports import store
from services.reports.domain import Format, Kind, Status, Wish, wrong_dates
from services.reports.messages import Result
from services.reports.paging import cursor_after, report_before
from services.reports.requests import Requests
from services.reports.store import Report
from weft.artifacts import Artifacts
from weft.http import (
    FieldError,
    Problem,
    ProblemDocument,
    Reply,
    Request,
    Routes,
    Stream,
    byte_range,
    content_range,
    idempotency_key,
)
from weft.postgres import (
    Database,
    IdempotencyKeys,
    KeyedRequest,
    KeyInProgress,
    KeyReused,
    StoredAnswer,
    Transaction,
    retry_on_conflict,
)
from weft.telemetry import SYNTHETIC, mark_synthetic

READ: Final = "reports:read"
WRITE: Final = "reports:write"
MEDIA: Final[dict[Format, str]] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
_REPORT_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class NewReport(msgspec.Struct, frozen=True):
    """`to` is the first day that is left out."""

    kind: Kind
    from_: date = msgspec.field(name="from")
    to: date
    format: Format = "csv"
    priority: Annotated[int, Meta(ge=0, le=9)] = 0


class Links(msgspec.Struct, frozen=True):
    self_: str = msgspec.field(name="self")
    download: str | None = None


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    report_id: str
    status: Status = "queued"
    links: Links


class ReportView(msgspec.Struct, frozen=True, kw_only=True):
    """`progress` is a percentage; `reason` a word, where it did not finish."""

    report_id: str
    status: Status
    progress: int
    stage: str | None
    reason: str | None
    kind: Kind
    from_: date = msgspec.field(name="from")
    to: date
    format: Format
    priority: int
    created_at: datetime
    finished_at: datetime | None
    result: Result | None
    links: Links
    trace_id: str


class ReportList(msgspec.Struct, frozen=True):
    reports: list[ReportView]
    next: str | None


class ReportQuery(msgspec.Struct, frozen=True):
    status: Status | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None


def routes(db: Database, requests: Requests, artifacts: Artifacts) -> Routes:
    """Return the public routes of reports."""
    own = _Reports(db, requests, artifacts)
    one = "/v1/reports/{report_id}"
    ended = {409: ProblemDocument}
    seen = {"scope": READ, "or_scope": WRITE}
    serve = Routes()
    serve.post(
        "/v1/reports",
        scope=WRITE,
        status=202,
        summary="Ask for a report",
        answers=ended,
        needs=("Idempotency-Key",),
    )(own.ask)
    serve.get("/v1/reports", **seen, summary="List your reports, newest first")(own.browse)
    serve.get(one, **seen, summary="See a report, and how far it is")(own.show)
    serve.delete(one, scope=WRITE, summary="Cancel a report", answers=ended)(own.cancel)
    fetched = serve.get(f"{one}/download", **seen, summary="Fetch a finished report", answers=ended)
    fetched(own.download)
    return serve


class _Reports:
    """A user's own reports."""

    def __init__(self, db: Database, requests: Requests, artifacts: Artifacts) -> None:
        self._db = db
        self._keys = IdempotencyKeys(db)
        self._requests = requests
        self._artifacts = artifacts

    async def ask(self, request: Request, body: NewReport) -> Reply[Accepted]:
        keyed = KeyedRequest.of(
            subject=request.subject,
            method=request.method,
            path="/v1/reports",
            key=idempotency_key(request),
            body=request.raw,
        )
        synthetic = SYNTHETIC in request.scopes
        mark_synthetic(synthetic)  # whatever a header says
        wish = _wish(body, synthetic=synthetic)

        async def work(tx: Transaction) -> StoredAnswer:
            asked = await self._requests.ask(tx, request.subject, wish, trace_id=request.trace_id)
            accepted = Accepted(report_id=asked, links=Links(self_=f"/v1/reports/{asked}"))
            return StoredAnswer(202, msgspec.json.encode(accepted))

        try:
            answer = await self._keys.answer(keyed, work)
        except KeyInProgress:
            detail = "A request with this Idempotency-Key is still in progress."
            raise Problem(409, detail=detail, headers={"Retry-After": "1"}) from None
        except KeyReused:
            detail = "This Idempotency-Key was used with another body."
            raise Problem(422, detail=detail) from None
        accepted = msgspec.json.decode(answer.body, type=Accepted)
        request.set("weft.report.id", accepted.report_id)
        headers = {"Idempotent-Replayed": "true"} if answer.replayed else None
        return Reply(answer.body, answer.status, headers)

    async def show(self, request: Request) -> ReportView:
        return view(await self._own(request))

    async def browse(self, request: Request, query: ReportQuery) -> ReportList:
        found = await store.page(
            self._db,
            request.subject,
            status=query.status,
            before=report_before(query.cursor),
            limit=query.limit + 1,
        )
        shown = found[: query.limit]
        more = len(found) > query.limit
        return ReportList([view(each) for each in shown], cursor_after(shown) if more else None)

    async def cancel(self, request: Request) -> ReportView:
        report = await self._own(request)

        async def once() -> Report | None:
            async with self._db.transaction() as tx:
                return await self._requests.end(
                    tx, report.report_id, "cancelled", reason="cancelled_by_user"
                )

        ended = await retry_on_conflict(once) or await self._own(request)
        if ended.status != "cancelled":
            raise Problem(409, detail=f"This report is {ended.status} already.")
        return view(ended)

    async def download(self, request: Request) -> Reply[Stream]:
        report = await self._own(request)
        if report.artifact is None or report.bytes is None:
            raise Problem(409, detail=f"This report is {report.status}, not finished.")
        name = f"{report.kind}-{report.first_day}-{report.end_day}.{report.format}"
        tag = f'"{report.artifact}"'  # what was stored by a name stays as it is
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'attachment; filename="{name}"',
            "ETag": tag,
        }
        if request.headers.get("If-None-Match") == tag:
            return Reply(None, 304, headers)
        part, status = byte_range(request.headers, size=report.bytes, tag=tag), 206
        if part is None:
            part, status = range(report.bytes), 200
        else:
            headers["Content-Range"] = content_range(part, report.bytes)
        stream = Stream(self._artifacts.read(report.artifact, part), size=len(part))
        return Reply(stream, status, headers, content_type=MEDIA[report.format])

    async def _own(self, request: Request) -> Report:
        """Return the caller's report of the path. Raises Problem 404."""
        report_id = request.path["report_id"].lower()
        found = None
        if _REPORT_ID.fullmatch(report_id):
            found = await store.find(self._db, report_id, request.subject)
        if found is None:
            raise Problem(404, detail="There is no such report of yours.")
        request.set("weft.report.id", report_id)
        return found


def view(report: Report) -> ReportView:
    """Return a report as its user sees it."""
    own = f"/v1/reports/{report.report_id}"
    result = None
    if report.rows is not None and report.bytes is not None:
        result = Result(rows=report.rows, bytes=report.bytes)
    return ReportView(
        report_id=report.report_id,
        status=report.status,
        progress=report.progress,
        stage=report.stage,
        reason=report.reason,
        kind=report.kind,
        from_=report.first_day,
        to=report.end_day,
        format=report.format,
        priority=report.priority,
        created_at=report.created_at,
        finished_at=report.finished_at,
        result=result,
        links=Links(self_=own, download=f"{own}/download" if result else None),
        trace_id=report.trace_id,
    )


def _wish(body: NewReport, *, synthetic: bool) -> Wish:
    wrong = wrong_dates(body.from_, body.to)
    if wrong:
        errors = [FieldError(f"/{name}", message) for name, message in wrong.items()]
        raise Problem(422, detail="There is no report for these dates.", errors=errors)
    return Wish(
        kind=body.kind,
        first=body.from_,
        end=body.to,
        format=body.format,
        priority=body.priority,
        synthetic=synthetic,
    )
