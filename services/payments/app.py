"""The wiring of payments."""

from pathlib import Path

from services.payments.api import routes
from services.payments.caller import Caller
from services.payments.messages import (
    QUEUE,
    AuthorizePayment,
    Book,
    CapturePayment,
    VoidPayment,
    handlers,
)
from services.payments.provider import Provider
from weft import __version__
from weft.http import BreakerPolicy, HttpClient
from weft.messaging import Broker, Consumer, Publisher, ServiceTopology
from weft.postgres import Database, Relay, exactly_once
from weft.service import Service, run
from weft.settings import Duration, Secret, ServiceSettings
from weft.webhooks import key_of

TOPOLOGY = ServiceTopology(
    service="payments", commands=[AuthorizePayment, CapturePayment, VoidPayment]
)

# Some cards alone make the provider fail, and each payment has a back-off of its own.
NO_CIRCUIT = BreakerPolicy(failure_ratio=2.0)


class PaymentsSettings(ServiceSettings, frozen=True, kw_only=True):
    port: int = 8103
    database_url: Secret
    broker_url: Secret
    card_provider_url: str = "http://127.0.0.1:8108"
    card_provider_key: Secret
    card_provider_timeout: Duration = 5.0
    """For one call, in seconds; some cards take 3."""
    webhook_secret: Secret
    """What the provider signs its webhook with: whsec_ and 24 to 64 bytes in base64."""


def build(settings: PaymentsSettings) -> Service:
    """Return the service, not yet started. Raises SettingsError for a wrong webhook secret."""
    key_of(settings.webhook_secret)
    service = Service("payments", settings, version=__version__)
    db = service.add(Database(settings.database_url, schema=Path(__file__).with_name("schema")))
    broker = service.add(Broker(settings.broker_url, TOPOLOGY))
    service.add(Relay(db, Publisher(broker)))
    client = service.add(
        HttpClient(
            settings.card_provider_url,
            name="card_provider",
            timeout=settings.card_provider_timeout,
            retries=0,
            breaker=NO_CIRCUIT,
        )
    )
    book = Book(db)
    service.add(
        Caller(
            db,
            book,
            Provider(client, settings.card_provider_key),
            instance=f"payments-{settings.instance}",
            call_timeout=settings.card_provider_timeout,
        )
    )
    take = handlers(book)
    service.add(
        Consumer(
            broker,
            QUEUE,
            exactly_once(db, QUEUE, take),
            concurrency=8,
            endless=take.endless,
            resume_check=db.check,
        )
    )
    service.serve(routes(db, book, [settings.webhook_secret]))
    return service


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, PaymentsSettings)
