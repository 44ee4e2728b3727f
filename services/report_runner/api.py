"""Alertmanager's webhook (Grafana's too), which wakes the scaler."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from services.report_runner import alerts, decisions
from services.report_runner.alerts import Heard
from weft.http import Request, Routes
from weft.postgres import Database

HOOK_SCOPE: Final = "alerts:write"

Text = Annotated[str, Meta(max_length=8192)]


class HookAlert(Struct, frozen=True, kw_only=True, rename="camel"):
    status: Literal["firing", "resolved"]
    labels: Annotated[dict[Text, Text], Meta(max_length=200)]
    starts_at: Annotated[datetime, Meta(tz=True)]
    ends_at: Annotated[datetime, Meta(tz=True)] | None = None
    fingerprint: Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]{1,128}$(?!\n)")]


class HookBody(Struct, frozen=True, kw_only=True, rename="camel"):
    """Version 4 is Alertmanager's, version 1 Grafana's; what else they send is not needed."""

    version: Annotated[str, Meta(pattern=r"^[14]$(?!\n)")]
    group_key: Annotated[str, Meta(min_length=1, max_length=8192)]
    alerts: Annotated[list[HookAlert], Meta(min_length=1, max_length=1000)]


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
        news = await decisions.hear(db, alerts.digest(body.group_key), told) if told else 0
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
