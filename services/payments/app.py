"""The wiring of payments."""

import asyncio
import contextlib
from pathlib import Path
from typing import Final

from services.payments import store
from services.payments.api import routes
from services.payments.caller import CONCURRENCY, Caller
from services.payments.messages import Book, handlers
from services.payments.provider import Provider
from weft import __version__
from weft.errors import Unavailable
from weft.http import BreakerPolicy, HttpClient
from weft.postgres import Database
from weft.service import Service, run
from weft.settings import Addresses, Duration, Secret, ServiceSettings
from weft.telemetry import gauge
from weft.webhooks import check_secret

COUNT_EVERY: Final = 5.0
"""Seconds between two counts of open calls."""

# Some cards alone make the provider fail, and each payment has a back-off of its own.
NO_CIRCUIT: Final = BreakerPolicy(failure_ratio=2.0)


class PaymentsSettings(ServiceSettings, frozen=True, kw_only=True):
    port: int = 8103
    database_url: Secret
    broker_url: Secret
    card_provider_url: Addresses = ("http://127.0.0.1:8108",)
    card_provider_key: Secret
    card_provider_timeout: Duration = 5.0
    """For one call, in seconds; some cards take 3."""
    pending_pause: Duration = 5.0
    """Seconds until a pending authorisation is asked for, when no webhook has come."""
    pending_budget: Duration = 600.0
    """Seconds after which it is no longer asked for."""
    webhook_secret: Secret
    """What the provider signs its webhook with: whsec_ and 24 to 64 bytes in base64."""


def build(settings: PaymentsSettings) -> Service:
    """Return the service, not yet started. Raises SettingsError for a wrong webhook secret."""
    check_secret(settings.webhook_secret, "WEFT_WEBHOOK_SECRET")
    service = Service("payments", settings, version=__version__)
    db = service.database(Path(__file__).with_name("schema"))
    client = service.add(
        HttpClient(
            settings.card_provider_url,
            name="card_provider",
            timeout=settings.card_provider_timeout,
            retries=0,
            connections=CONCURRENCY,
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
            pending_pause=settings.pending_pause,
            pending_budget=settings.pending_budget,
        )
    )
    service.messages(db, handlers(book), concurrency=6)
    service.background("open calls", lambda: _count_calls(db))
    service.serve(routes(db, book, [settings.webhook_secret]))
    return service


async def _count_calls(db: Database) -> None:
    count, age = 0, 0.0
    gauge("weft.payment.calls.open", "{call}", "Provider calls still to succeed.", lambda: count)
    gauge("weft.payment.calls.age", "s", "Age of the oldest of them.", lambda: age)
    while True:
        with contextlib.suppress(Unavailable):
            count, age = await store.open_calls(db)
        await asyncio.sleep(COUNT_EVERY)


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, PaymentsSettings)
