"""The wiring of orders."""

import asyncio
import contextlib
from importlib.metadata import version
from pathlib import Path
from typing import Final

from services.orders import sales, store
from services.orders.api import routes
from services.orders.catalogue import Catalogue, Inventory
from services.orders.fulfilment import TIMER, Fulfilment
from services.orders.handlers import handlers
from services.orders.placement import Placement
from weft.errors import Unavailable
from weft.flags.provider import Features
from weft.http import Authenticator
from weft.postgres import (
    Database,
    Deadlines,
    DeadlineScanner,
    EventLog,
    IdempotencyKeys,
    Outbox,
)
from weft.service import Service, run
from weft.settings import Addresses, Duration, Secret, ServiceSettings
from weft.telemetry import gauge

ASK_INVENTORY: Final = 0.5
"""Seconds that a placement waits for inventory, where the catalogue lacks a product."""
WAIT_FOR_CONNECTION: Final = 8.0
"""Seconds that a burst of requests waits for a connection of the pool: below the gateway's 10."""
COUNT_EVERY: Final = 5.0
"""Seconds between two counts of active sagas."""


class OrdersSettings(ServiceSettings, frozen=True, kw_only=True):
    port: int = 8101
    database_url: Secret
    broker_url: Secret
    jwks: str
    inventory_url: Addresses = ("http://127.0.0.1:8102",)
    order_deadline: Duration = 30.0
    """How long an order may take before its payment is captured."""
    order_repeat: Duration = 30.0
    """After this time without an answer, a step that has no last attempt is sent again."""


def build(settings: OrdersSettings) -> Service:
    """Return the service, not yet started."""
    service = Service("orders", settings, version=version("weft"))
    db = service.add(
        Database(
            settings.database_url,
            schema=Path(__file__).with_name("schema"),
            acquire_timeout=WAIT_FOR_CONNECTION,
        )
    )
    inventory = service.add(
        Inventory(settings.inventory_url, name="inventory", timeout=ASK_INVENTORY)
    )
    events, deadlines = EventLog(db), Deadlines(db)
    fulfilment = Fulfilment(
        events,
        Outbox(db),
        deadlines,
        deadline=settings.order_deadline,
        repeat=settings.order_repeat,
    )
    placement = Placement(
        db, IdempotencyKeys(db), Catalogue(db, inventory), fulfilment, has=Features().has
    )
    service.messages(db, handlers(fulfilment))
    service.add(DeadlineScanner(db, {TIMER: fulfilment.due}))
    service.add(sales.projection(db, events))
    service.background("saga count", SagaCount(db).run)
    service.serve(routes(db, events, placement), auth=Authenticator(settings.jwks))
    return service


class SagaCount:
    """How many orders are not finished, counted in the database: all instances tell the same."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._active = 0
        gauge("weft.saga.active", "{saga}", "Orders that are not finished.", lambda: self._active)

    async def run(self) -> None:
        """Count, again and again. While the database is away the last count stands."""
        while True:
            with contextlib.suppress(Unavailable):
                self._active = await store.active(self._db)
            await asyncio.sleep(COUNT_EVERY)


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, OrdersSettings)
