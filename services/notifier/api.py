"""Alertmanager's webhook (Grafana's too), and the inbox for operators."""

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from services.notifier import store
from services.notifier.domain import Alert, Severity, Status
from services.notifier.inbox import Inbox
from services.notifier.watchdog import WATCHDOG, DeadMansSwitch
from weft.alertmanager import FIRST_YEAR, HOOK_SCOPE, HookAlert, HookBody
from weft.http import Request, Routes
from weft.postgres import Database

_CURSOR: Final = "^[1-9][0-9]{0,17}$"


class Taken(Struct, frozen=True):
    """Whether people are told: what was known already is taken, and told to nobody."""

    told: bool


class DeliveryView(Struct, frozen=True, kw_only=True):
    channel: str
    state: str
    attempts: int
    error: str | None


class NoticeView(Struct, frozen=True, kw_only=True):
    identity: str
    at: datetime
    status: Status
    severity: Severity
    title: str
    alerts: list[Alert]
    deliveries: list[DeliveryView]


class Notices(Struct, frozen=True, kw_only=True):
    """Newest first; `next` is the cursor of the following page, null on the last."""

    notices: list[NoticeView]
    next: str | None


class Page(Struct, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(pattern=_CURSOR)] | None = None


def routes(db: Database, inbox: Inbox, switch: DeadMansSwitch) -> Routes:
    """Return the routes of the notifier."""
    api = Routes()

    @api.post("/hooks/alertmanager", scope=HOOK_SCOPE, summary="Take a group of alerts")
    async def take(request: Request, body: HookBody) -> Taken:
        alerts = [_alert(each) for each in body.alerts]
        for watchdog in (each for each in alerts if each.name == WATCHDOG):
            switch.hear(watchdog)
        others = [each for each in alerts if each.name != WATCHDOG]
        told = bool(others) and await inbox.take(body.group_key, others)
        request.set("weft.notice.told", told)
        return Taken(told)

    @api.get("/ops/inbox", scope="ops", summary="List what was told")
    async def listed(_: Request, query: Page) -> Notices:
        before = None if query.cursor is None else int(query.cursor)
        found = await store.page(db, before=before, limit=query.limit + 1)
        shown = found[: query.limit]
        more = len(found) > query.limit
        return Notices(
            notices=[_view(entry) for entry in shown],
            next=str(shown[-1]["id"]) if more else None,
        )

    return api


def _alert(told: HookAlert) -> Alert:
    ended = told.ends_at if told.status == "resolved" else None
    return Alert(
        status=told.status,
        labels=told.labels,
        annotations=told.annotations,
        starts_at=told.starts_at,
        ends_at=ended if ended is not None and ended.year >= FIRST_YEAR else None,
        fingerprint=told.fingerprint,
        source=told.generator_url,
    )


def _view(entry: dict[str, Any]) -> NoticeView:
    values = {name: entry[name] for name in NoticeView.__struct_fields__ if name != "deliveries"}
    deliveries = [DeliveryView(**each) for each in entry["deliveries"]]
    return NoticeView(**values, deliveries=deliveries)
