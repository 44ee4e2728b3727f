"""The wiring of inventory."""

from pathlib import Path
from typing import Final

from services.inventory.api import routes
from services.inventory.messages import handlers
from services.inventory.seeding import Seeding
from weft import __version__
from weft.cache import Cache
from weft.http import Authenticator
from weft.postgres import Outbox
from weft.service import Service, run
from weft.settings import Secret, ServiceSettings

CACHE_SECONDS: Final = 10.0
"""How old the stock may be that is shown, should its change not reach the cache."""


class InventorySettings(ServiceSettings, frozen=True, kw_only=True):
    port: int = 8102
    database_url: Secret
    broker_url: Secret
    jwks: str
    redis_url: Secret | None = None
    """Where products are cached; without it each is read from the database."""
    seed_products: bool = True
    """Whether a new shop gets SKU-0001 to SKU-0050."""


def build(settings: InventorySettings) -> Service:
    """Return the service, not yet started."""
    service = Service("inventory", settings, version=__version__)
    db = service.database(Path(__file__).with_name("schema"))
    outbox = Outbox(db)
    cache = service.add(Cache(settings.redis_url, name="products", seconds=CACHE_SECONDS))
    if settings.seed_products:
        service.add(Seeding(db, outbox))
    service.messages(db, handlers(outbox, cache), concurrency=8)
    service.serve(routes(db, outbox, cache), auth=Authenticator(settings.jwks))
    return service


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, InventorySettings)
