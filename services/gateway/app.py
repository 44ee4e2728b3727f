"""The wiring of the gateway."""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Final

from services.gateway import addresses, web_app
from services.gateway.api import routes
from services.gateway.browsers import BURST, RATE, Browsers
from services.gateway.callers import Callers, Passport
from services.gateway.demo import Demo
from services.gateway.keys import ApiKeys
from services.gateway.limiter import Limiter
from services.gateway.ops.api import Pages
from services.gateway.ops.state import States
from services.gateway.ops.stored import Stored
from services.gateway.ops.visitor import Visitors
from services.gateway.proxy import DOWNLOADS, Proxy
from services.gateway.updates import Updates
from weft.http import Authenticator, HttpClient, TokenSigner
from weft.service import Service, run
from weft.settings import Addresses, Duration, Secret, ServiceSettings, SettingsError

MAX_LIST: Final = 32 << 20
"""Bytes of an answer: 200 orders of 100 items with names of 200 characters."""
_ANY: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


class GatewaySettings(ServiceSettings, frozen=True, kw_only=True):
    port: int = 8080
    jwks: str
    """Path of the public keys, which are shown at /.well-known/jwks.json too."""
    orders_url: Addresses = ("http://127.0.0.1:8101",)
    inventory_url: Addresses = ("http://127.0.0.1:8102",)
    payments_url: Addresses = ("http://127.0.0.1:8103",)
    reports_url: Addresses = ("http://127.0.0.1:8104",)
    report_runner_url: Addresses = ("http://127.0.0.1:8105",)
    card_provider_url: Addresses = ("http://127.0.0.1:8108",)
    notifier_url: Addresses = ("http://127.0.0.1:8106",)
    host_agent_url: Addresses = ("http://127.0.0.1:8107",)
    addresses: Path | None = None
    """A file, watched, that says anew where instances are: a JSON object by the services' names."""
    jaeger_url: str = "http://127.0.0.1:16686"
    """Where /ops finds traces; the gateway is ready without."""
    loki_url: str = "http://127.0.0.1:3100"
    """Where /ops finds log lines; the gateway is ready without."""
    origins: str = ""
    """Origins, with blanks between, whose pages may open WebSockets beside the gateway's own."""
    inner_timeout: Duration = 10.0
    """How long an inner service may take to answer."""
    redis_url: Secret | None = None
    """Where gateways share their rate limits; without it each keeps to them by itself."""
    rate_limit: float = 1000.0
    """Requests a second for each subject."""
    rate_burst: int = 2000
    """Requests of a subject at once."""
    api_keys: Secret | None = None
    """JSON list of {"sha256", "subject", "scopes"}; needs the signing key."""
    signing_key: Secret | None = None
    """PEM of the Ed25519 key that signs the tokens which stand for API keys inside."""
    demo_user: bool = False
    """Whether a browser on this machine may enter without a token: for a local system alone."""
    jaeger_page: str | None = None
    """Where a person's browser finds Jaeger's pages; without, traces are shown at /ops."""
    grafana_page: str | None = None
    """Where a person's browser finds Grafana; without, log lines are shown at /ops."""


def build(settings: GatewaySettings) -> Service:
    """Return the service, not yet started. Raises SettingsError."""
    service = Service("gateway", settings, version=version("weft"))
    limiter = service.add(
        Limiter(settings.redis_url, rate=settings.rate_limit, burst=settings.rate_burst)
    )
    orders = HttpClient(
        settings.orders_url,
        name="orders",
        timeout=settings.inner_timeout,
        max_response=MAX_LIST,
    )
    inventory = HttpClient(settings.inventory_url, name="inventory", timeout=settings.inner_timeout)
    callers = Callers(Authenticator(settings.jwks), ApiKeys.parse(settings.api_keys))
    signer = _signer(settings)
    passport = Passport(signer)
    proxy = Proxy(passport, limiter)
    # Who orders does not wait for reports to be back.
    reports = HttpClient(
        settings.reports_url,
        name="reports",
        timeout=settings.inner_timeout,
        max_response=MAX_LIST,
        needed=False,
    )
    # Connections of their own, so that slow downloads hold up nothing else.
    downloads = HttpClient(
        settings.reports_url,
        name="reports' downloads",
        timeout=settings.inner_timeout,
        connections=DOWNLOADS,
        needed=False,
    )
    serve = routes(
        proxy,
        service.add(orders),
        service.add(inventory),
        service.add(reports),
        service.add(downloads),
        jwks=Path(settings.jwks),
    )
    # A name of its own: two components of one name are one series, which Prometheus refuses.
    sockets = HttpClient(
        settings.reports_url, name="reports' channels", connections=0, needed=False
    )
    if settings.addresses is not None:
        clients = {
            "orders": (orders,),
            "inventory": (inventory,),
            "reports": (reports, downloads, sockets),
        }
        watched = addresses.Addresses(settings.addresses, clients)
        service.background("addresses", watched.run)
    updates = Updates(passport, limiter, service.add(sockets), origins=settings.origins.split())
    serve.include(updates.routes())
    pages = Pages(
        Visitors(callers, passport),
        service.add(States(_asked(settings))),
        service.add(Stored(settings.jaeger_url, settings.loki_url)),
        proxy,
    )
    serve.include(pages.routes())
    serve.include(_for_browsers(settings, service).routes())
    serve.include(web_app.routes(_told(settings)))
    if settings.demo_user:
        serve.include(Demo(signer, proxy, bind=settings.bind).routes())
    service.serve(
        serve,
        auth=callers,
        edge=True,
        reuse_port=True,
    )
    return service


def _for_browsers(settings: GatewaySettings, service: Service) -> Browsers:
    limiter = Limiter(settings.redis_url, rate=RATE, burst=BURST, counts="telemetry")
    collector = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    return service.add(Browsers(collector, service.add(limiter)))


def _told(settings: GatewaySettings) -> dict[str, bool | str | None]:
    """Return what the web app learns of this system before anybody has signed in."""
    return {
        "demo": settings.demo_user,
        "jaeger": settings.jaeger_page,
        "grafana": settings.grafana_page,
    }


def _asked(settings: GatewaySettings) -> dict[str, str]:
    """Return who is asked for their state, by name: the gateway itself, too."""
    own = "127.0.0.1" if settings.bind in _ANY else settings.bind
    services = {
        "gateway": (f"http://{own}:{settings.port}",),
        "orders": settings.orders_url,
        "inventory": settings.inventory_url,
        "payments": settings.payments_url,
        "reports": settings.reports_url,
        "report_runner": settings.report_runner_url,
        "card_provider": settings.card_provider_url,
        "notifier": settings.notifier_url,
        "host_agent": settings.host_agent_url,
        "jaeger": (settings.jaeger_url,),
        "loki": (settings.loki_url,),
    }
    return {
        f"{name}-{instance}" if instance else name: url
        for name, urls in services.items()
        for instance, url in enumerate(urls)
    }


def _signer(settings: GatewaySettings) -> TokenSigner | None:
    if settings.signing_key is None:
        if settings.api_keys is not None:
            raise SettingsError("WEFT_SIGNING_KEY is not set: expected a key, for the API keys")
        return None
    try:
        return TokenSigner(settings.signing_key.reveal().encode())
    except (TypeError, ValueError):
        raise SettingsError("WEFT_SIGNING_KEY: expected an Ed25519 key as PEM") from None


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, GatewaySettings)
