"""Alertmanager's webhook (Grafana's too), which wakes the scaler."""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from services.report_runner import alerts, decisions
from services.report_runner.alerts import Heard
from weft.alertmanager import HOOK_SCOPE, HookAlert, HookBody, digest
from weft.http import Request, Routes
from weft.postgres import Database


class Taken(Struct, frozen=True):
    """How many of the alerts were news; those that are not for the scaler are none."""

    news: int


def routes(db: Database, now: Callable[[], datetime]) -> Routes:
    """Return the routes of report_runner."""
    api = Routes()

    @api.post("/hooks/alertmanager", scope=HOOK_SCOPE, summary="Take a group of alerts")
    async def take(request: Request, body: HookBody) -> Taken:
        at = now()
        told = [_heard(one, at) for one in body.alerts if _is_for_us(one)]
        news = await decisions.hear(db, digest(body.group_key), told) if told else 0
        request.set("weft.scale.news", news)
        return Taken(news)

    return api


def _is_for_us(told: HookAlert) -> bool:
    return told.labels.get(alerts.SCALER) == alerts.REPORTS


def _heard(told: HookAlert, at: datetime) -> Heard:
    return alerts.heard(
        fingerprint=told.fingerprint,
        name=told.labels.get("alertname", ""),
        firing=told.status == "firing",
        starts_at=told.starts_at,
        ends_at=told.ends_at,
        now=at,
    )
