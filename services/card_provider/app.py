"""The wiring of the simulated card provider."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from services.card_provider.api import routes
from services.card_provider.domain import Habits, Manner
from services.card_provider.notices import Notices
from weft import __version__
from weft.http import HttpClient, SharedKey
from weft.service import Service, run
from weft.settings import Addresses, Duration, Secret, ServiceSettings
from weft.webhooks import check_secret

_MANNERS = "^(once|twice|late|never)(,(once|twice|late|never))*$"


class CardProviderSettings(ServiceSettings, frozen=True, kw_only=True):
    port: int = 8108
    database_url: Secret
    payments_url: Addresses = ("http://127.0.0.1:8103",)
    """Where the webhook is."""
    card_provider_key: Secret
    """What customers authenticate with."""
    webhook_secret: Secret
    """What the webhook is signed with: whsec_ and 24 to 64 bytes in base64."""
    notices: Annotated[str, Meta(pattern=_MANNERS)] = "once,once,once,once,once,twice,late,never"
    """How the webhook tells of tok_async: the payment's id chooses among these."""
    late_notice: Duration = 7.0
    """Seconds until it tells late."""


def build(settings: CardProviderSettings) -> Service:
    """Return the service, not yet started. Raises SettingsError for a wrong webhook secret."""
    check_secret(settings.webhook_secret, "WEFT_WEBHOOK_SECRET")
    service = Service("card_provider", settings, version=__version__)
    db = service.database(Path(__file__).with_name("schema"))
    client = HttpClient(settings.payments_url, name="payments", retries=0)
    habits = Habits(tuple(map(Manner, settings.notices.split(","))), settings.late_notice)
    service.add(Notices(db, client, settings.webhook_secret, habits))
    key = SharedKey(settings.card_provider_key, subject="customer")
    service.serve(routes(db, habits), auth=key)
    return service


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, CardProviderSettings)
