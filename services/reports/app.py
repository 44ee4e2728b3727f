"""The wiring of reports."""

import asyncio
import random
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

from services.reports import channel_api, channel_messages, channel_store, webhooks_api
from services.reports.channel import UPDATES, Channel
from services.reports.channel_hub import Hub
from services.reports.webhooks_api import secrets_of
from weft import __version__
from weft.http import Authenticator, Routes
from weft.messaging import Fanout
from weft.postgres import Database, Handlers, Outbox
from weft.service import Service, run
from weft.settings import Secret, ServiceSettings
from weft.webhooks import Webhooks, check_secret

CLEAN_EVERY: Final = 600.0
"""Seconds between two looks for what is too old to be kept."""


class ReportsSettings(ServiceSettings, frozen=True, kw_only=True):
    port: int = 8104
    database_url: Secret
    broker_url: Secret
    jwks: str
    report_webhook_secret: Secret
    """What the runner signs a report's result with: whsec_ and 24 to 64 bytes in base64."""
    webhook_key: Secret
    """What the secrets of customers' webhooks are derived from."""
    sockets_per_user: Annotated[int, Meta(ge=1)] = 20
    """WebSockets that one user may have open at this instance."""
    sockets: Annotated[int, Meta(ge=1)] = 20_000
    """WebSockets that may be open at this instance."""
    webhook_private: bool = False
    """Whether customers' webhooks may go to http and to private addresses: for tests alone."""


def build(settings: ReportsSettings) -> Service:
    """Return the service, not yet started. Raises SettingsError for a wrong webhook secret."""
    check_secret(settings.report_webhook_secret, "WEFT_REPORT_WEBHOOK_SECRET")
    service = Service("reports", settings, version=__version__)
    db = service.database(Path(__file__).with_name("schema"))
    webhooks = service.add(
        Webhooks(db, keys=secrets_of(settings.webhook_key), private=settings.webhook_private)
    )
    channel = Channel(Outbox(db), webhooks)
    take = Handlers()
    channel_messages.register(take, channel)
    broker = service.messages(db, take, concurrency=8, fanouts=[UPDATES])
    hub = Hub(db, per_user=settings.sockets_per_user, most=settings.sockets)
    service.add(Fanout(broker, UPDATES, hub.heard, connected=hub.catch_up))
    service.background("channel cleaning", lambda: _clean(db))
    serve = Routes()
    serve.include(channel_api.routes(db, hub))
    serve.include(
        webhooks_api.routes(db, secrets_of(settings.webhook_key), private=settings.webhook_private)
    )
    service.serve(serve, auth=Authenticator(settings.jwks))
    return service


async def _clean(db: Database) -> None:
    while True:
        await channel_store.delete_old(db)
        await asyncio.sleep(CLEAN_EVERY * random.uniform(0.8, 1.2))


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, ReportsSettings)
