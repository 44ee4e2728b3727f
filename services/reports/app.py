"""The wiring of reports."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from services.reports import api, channel_api, channel_messages, retention, runs, webhooks_api
from services.reports.channel import UPDATES, Channel
from services.reports.channel_hub import Hub
from services.reports.queue_facts import FACTS_EVERY, QueueFacts
from services.reports.requests import Requests
from services.reports.webhooks_api import secrets_of
from weft import __version__
from weft.artifacts import Artifacts, ArtifactsSettings
from weft.http import Authenticator, Routes
from weft.messaging import Fanout
from weft.postgres import DeadlineScanner, Handlers, Outbox
from weft.service import Service, run
from weft.settings import Duration, Secret
from weft.telemetry.options import TelemetryOptions
from weft.webhooks import Webhooks, check_secret


class ReportsSettings(ArtifactsSettings, frozen=True, kw_only=True):
    port: int = 8104
    database_url: Secret
    broker_url: Secret
    jwks: str
    report_webhook_secret: Secret
    """What the runner signs a report's result with: whsec_ and 24 to 64 bytes in base64."""
    webhook_key: Secret
    """What the secrets of customers' webhooks are derived from."""
    report_lease: Duration = 15.0
    """How long a runner has a report without a word."""
    report_expiry: Duration = 900.0
    """How long after its request a report is still made."""
    report_kept: Duration = 30 * 86400.0
    """How long after its end a report and its artifact are kept."""
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
    requests = Requests(db, channel, lease=settings.report_lease, expires_in=settings.report_expiry)
    service.add(DeadlineScanner(db, requests.handlers))
    service.background("queue facts", QueueFacts(db).run)
    artifacts = Artifacts.of(settings)
    service.background("retention", lambda: retention.run(db, artifacts, kept=settings.report_kept))
    serve = Routes()
    serve.include(channel_api.routes(db, hub))
    serve.include(
        webhooks_api.routes(db, secrets_of(settings.webhook_key), private=settings.webhook_private)
    )
    serve.include(api.routes(db, requests, artifacts))
    serve.include(runs.routes(db, requests, [settings.report_webhook_secret]))
    service.serve(serve, auth=Authenticator(settings.jwks))
    return service


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, ReportsSettings, telemetry=TelemetryOptions(metrics_every=FACTS_EVERY))
