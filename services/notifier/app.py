"""The wiring of the notifier."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

from services.notifier import store
from services.notifier.api import routes
from services.notifier.channels import channels
from services.notifier.delivery import Deliveries
from services.notifier.inbox import Inbox
from services.notifier.watchdog import DeadMansSwitch
from weft import __version__, alertmanager
from weft.http import Authenticator
from weft.postgres import Database
from weft.service import Service, run
from weft.settings import Duration, Secret, ServiceSettings

TIDY_SECONDS: Final = 3600.0
_LINKS: Final = {"runbook": "docs/runbooks/DeadMansSwitch.md", "dashboard": "/d/weft-telemetry"}


class NotifierSettings(ServiceSettings, frozen=True, kw_only=True):
    port: int = 8106
    database_url: Secret
    jwks: str
    alerts_key: Secret
    """What Alertmanager and Grafana authenticate with."""
    notifier_channels: Secret | None = None
    """TOML, a [[channel]] for each way to people; without one there is the inbox alone."""
    storm_limit: Annotated[int, Meta(ge=1, le=10_000)] = 20
    """Messages that a channel is given in a minute; what is beyond is counted in one message."""
    watchdog_silence: Duration = 30.0
    """How long nothing may be heard of the watchdog."""


def build(settings: NotifierSettings) -> Service:
    """Return the service, not yet started. Raises SettingsError."""
    service = Service("notifier", settings, version=__version__)
    db = service.database(Path(__file__).with_name("schema"))
    ways = channels(settings.notifier_channels)
    inbox = Inbox(db, ways, storm_limit=settings.storm_limit, now=_now)
    silence = settings.watchdog_silence
    switch = DeadMansSwitch(inbox, silence=silence, links=_LINKS, now=_now)
    service.add(Deliveries(db, inbox, ways))
    service.background("dead man's switch", switch.run)
    service.background("tidying", lambda: _tidy(db))
    key = alertmanager.callers(settings.alerts_key, Authenticator(settings.jwks))
    service.serve(routes(db, inbox, switch), auth=key)
    return service


async def _tidy(db: Database) -> None:
    while True:
        await store.tidy(db)
        await asyncio.sleep(TIDY_SECONDS)


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, NotifierSettings)
