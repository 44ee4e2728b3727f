"""The dead man's switch: says so when nothing is heard any more of who would say so."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from services.notifier.domain import Alert, Status
from services.notifier.inbox import Inbox
from weft.telemetry import gauge, get_logger

WATCHDOG: Final = "Watchdog"
"""The alert that always fires; its annotation `evaluated_at` is when Prometheus last said so."""
GROUP: Final = "notifier/dead-mans-switch"
LOOK: Final = 0.5
"""Seconds between two looks."""
FIRST: Final = 4
"""At the start as many times the silence are allowed: the other parts start, too."""

log = get_logger(__name__)


class DeadMansSwitch:
    """Hears the watchdog, and raises the alarm by itself after `silence` seconds without it.

    Alertmanager repeats for minutes what a dead Prometheus has said last, so only a newer
    `evaluated_at` counts.
    """

    def __init__(
        self, inbox: Inbox, *, silence: float, links: dict[str, str], now: Callable[[], datetime]
    ) -> None:
        self._inbox = inbox
        self._silence = silence
        self._links = links
        self._now = now
        self._evaluated_at = 0.0
        self._heard_at = time.monotonic()
        self._spoke_at: float | None = None
        self._quiet_until = self._heard_at + FIRST * silence
        self._raised_at: datetime | None = None
        gauge(
            "weft.notifier.watchdog.silence",
            "s",
            "Time since a new word of the watchdog.",
            lambda: time.monotonic() - self._heard_at,
        )

    def hear(self, alert: Alert) -> None:
        """Take the watchdog's word for what it is worth."""
        self._spoke_at = time.monotonic()
        evaluated_at = _number(alert.annotations.get("evaluated_at", ""))
        if alert.status == "firing" and evaluated_at > self._evaluated_at:
            self._evaluated_at = evaluated_at
            self._heard_at = self._spoke_at
            self._quiet_until = self._heard_at + self._silence

    async def run(self) -> None:
        """Look, again and again. Raises Unavailable."""
        raised = await self._inbox.is_firing(GROUP)
        while True:
            silent = time.monotonic() > self._quiet_until
            if silent and not raised:
                await self._say("firing")
            elif raised and not silent and self._evaluated_at:
                await self._say("resolved")
            raised = silent if silent or self._evaluated_at else raised
            await asyncio.sleep(LOOK)

    def _is_repeated(self) -> bool:
        """Whether Alertmanager still speaks, though it says nothing new."""
        return self._spoke_at is not None and time.monotonic() - self._spoke_at < self._silence / 2

    async def _say(self, status: Status) -> None:
        now = self._now()
        if status == "firing" or self._raised_at is None:
            self._raised_at = now
        repeated = self._is_repeated()
        who = "Prometheus does not evaluate" if repeated else "Alertmanager says nothing"
        alert = Alert(
            status=status,
            labels={
                "alertname": "DeadMansSwitch",
                "severity": "critical",
                "service_name": "prometheus" if repeated else "alertmanager",
            },
            annotations={
                "summary": f"no alert would be heard of: {who}"
                if status == "firing"
                else "alerts are heard of again",
                "description": f"The watchdog, which always fires, was silent for "
                f"{self._silence:g} s.",
                **self._links,
            },
            starts_at=self._raised_at,
            ends_at=now if status == "resolved" else None,
            fingerprint="dead-mans-switch",
        )
        log.warning("watchdog", **{"weft.notice.status": status})
        await self._inbox.take(GROUP, [alert])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
