"""The wiring of inventory."""

from pathlib import Path

from services.inventory.api import routes
from services.inventory.messages import handlers
from services.inventory.seeding import Seeding
from weft import __version__
from weft.http import Authenticator
from weft.postgres import Outbox
from weft.service import Service, run
from weft.settings import Secret, ServiceSettings


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
    db = service.database(Path(__file__).with_name("schema"))
    outbox = Outbox(db)
    if settings.seed_products:
        service.add(Seeding(db, outbox))
    service.messages(db, handlers(outbox), concurrency=8)
    service.serve(routes(db, outbox), auth=Authenticator(settings.jwks))
    return service


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, InventorySettings)
