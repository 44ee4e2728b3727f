"""What is news in what Alertmanager tells: pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from weft.alertmanager import LATE

Status = Literal["firing", "resolved"]
Severity = Literal["critical", "warning", "info"]

SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "warning", "info")
"""The worst first."""
REMIND: Final = timedelta(hours=1)
"""What is told again unchanged is a reminder if people heard nothing of it for so long."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert as Alertmanager tells it; `ends_at` is None while it fires."""

    status: Status
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None
    fingerprint: str
    source: str = ""
    """Where the query behind it is shown."""

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "alert")

    @property
    def severity(self) -> Severity:
        """What is not known as less is a warning."""
        known = (each for each in SEVERITIES if each == self.labels.get("severity"))
        return next(known, "warning")

    @property
    def summary(self) -> str:
        return self.annotations.get("summary") or self.name


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard last of an alert, by group and fingerprint: `heard_at` is when."""

    status: Status
    starts_at: datetime
    heard_at: datetime


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message to people: about a group of alerts, all of them. `identity` is a UUID."""

    identity: str
    at: datetime
    status: Status
    severity: Severity
    title: str
    alerts: list[Alert]


def is_news(alert: Alert, known: Known | None, now: datetime) -> bool:
    """Whether people have not heard this: of an alert's beginning once, and of its end once.

    What comes twice or out of order is none: an end whose beginning nobody was told of, a beginning
    that its own end has overtaken.
    """
    if alert.status == "resolved":
        return known is not None and known.status == "firing" and alert.starts_at >= known.starts_at
    if known is None:
        return True
    if known.status == "firing" or alert.starts_at < known.starts_at:
        return False
    return alert.starts_at > known.starts_at or now - known.heard_at > LATE


def is_worth_keeping(alert: Alert, known: Known | None, now: datetime) -> bool:
    """Whether what is known of the alert changes: an end that came first is kept, too."""
    if known is None or is_news(alert, known, now):
        return True
    later = alert.starts_at > known.starts_at
    return later or (alert.status == "resolved" and alert.starts_at == known.starts_at)


def is_reminder(alerts: Iterable[Alert], told_at: datetime | None, now: datetime) -> bool:
    """Whether a group without news is to be told of again: it fires, and long since heard of."""
    firing = any(alert.status == "firing" for alert in alerts)
    return firing and told_at is not None and now - told_at >= REMIND


def status_of(alerts: Iterable[Alert]) -> Status:
    """Return firing while one of them fires."""
    return "firing" if any(alert.status == "firing" for alert in alerts) else "resolved"


def severity_of(alerts: Iterable[Alert]) -> Severity:
    """Return the worst."""
    return min((alert.severity for alert in alerts), key=SEVERITIES.index, default="warning")


def notice(identity: str, at: datetime, alerts: list[Alert]) -> Notice:
    """Return what people are told of a group: those that fire first, the worst before others."""
    ordered = sorted(alerts, key=lambda a: (a.status != "firing", SEVERITIES.index(a.severity)))
    counted = [a for a in ordered if a.status == "firing"] or ordered
    status = status_of(ordered)
    return Notice(
        identity=identity,
        at=at,
        status=status,
        severity=severity_of(counted),
        title=title(status, counted),
        alerts=ordered,
    )


def title(status: Status, alerts: list[Alert]) -> str:
    """Return one line: what, how many, where, and the first one's summary."""
    names = ", ".join(dict.fromkeys(alert.name for alert in alerts)) or "no alert"
    where = ", ".join(dict.fromkeys(filter(None, map(_service, alerts))))
    count = f" {len(alerts)}" if len(alerts) > 1 else ""
    place = f" ({where})" if where else ""
    summary = f": {alerts[0].summary}" if len(alerts) == 1 else ""
    return _one_line(f"[{status.upper()}{count}] {names}{place}{summary}")


def _service(alert: Alert) -> str:
    return alert.labels.get("service_name", "")


def _one_line(text: str) -> str:
    whole = " ".join(text.split())
    return whole if len(whole) <= 200 else whole[:199] + "…"  # noqa: PLR2004 - a subject's length


def fields(told: Notice, alert: Alert | None = None) -> Mapping[str, str]:
    """Return what a template may name: of the message, and of one of its alerts."""
    about = alert or (told.alerts[0] if told.alerts else None)
    common = {
        "title": told.title,
        "status": (alert.status if alert else told.status),
        "severity": (alert.severity if alert else told.severity),
        "count": str(len(told.alerts)),
    }
    if about is None:
        return common
    return {
        **about.labels,
        "summary": about.summary,
        "description": "",
        "runbook": "",
        "dashboard": "",
        **about.annotations,
        "starts_at": about.starts_at.isoformat(timespec="seconds"),
        **common,
    }
