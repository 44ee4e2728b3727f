"""The wiring of inventory."""

from pathlib import Path
from typing import Final

from services.inventory.api import routes
from services.inventory.messages import QUEUE, CommitStock, ReleaseStock, ReserveStock, handlers
from services.inventory.seeding import Seeding
from weft import __version__
from weft.http import Authenticator
from weft.messaging import Broker, Consumer, Publisher, ServiceTopology
from weft.postgres import Database, Outbox, Relay, exactly_once
from weft.service import Service, run
from weft.settings import Secret, ServiceSettings

TOPOLOGY: Final = ServiceTopology(
    service="inventory", commands=[ReserveStock, ReleaseStock, CommitStock]
)


class InventorySettings(ServiceSettings, frozen=True, kw_only=True):
    port: int = 8102
    database_url: Secret
    broker_url: Secret
    jwks: str
    seed_products: bool = True
    """Whether a new shop gets SKU-0001 to SKU-0050."""


def build(settings: InventorySettings) -> Service:
    """Return the service, not yet started."""
    service = Service("inventory", settings, version=__version__)
    db = service.add(Database(settings.database_url, schema=Path(__file__).with_name("schema")))
    broker = service.add(Broker(settings.broker_url, TOPOLOGY))
    outbox = Outbox(db)
    if settings.seed_products:
        service.add(Seeding(db, outbox))
    service.add(Relay(db, Publisher(broker)))
    take = handlers(outbox)
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
    service.serve(routes(db, outbox), auth=Authenticator(settings.jwks))
    return service


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, InventorySettings)
