"""The wiring of traffic: a customer that nobody is, so that a new system has something to show."""

from services.traffic.customer import Customer
from services.traffic.domain import PACE
from services.traffic.prober import Prober
from services.traffic.probes import OrderProbe, ReportProbe
from services.traffic.shopper import Shopper
from weft import __version__
from weft.http import HttpClient, Routes
from weft.service import Service, run
from weft.settings import Secret, ServiceSettings

TIMEOUT = 5.0
"""Seconds that the gateway may take to answer."""


class TrafficSettings(ServiceSettings, frozen=True, kw_only=True):
    port: int = 8109
    gateway_url: str = "http://127.0.0.1:8080"
    traffic_token: Secret
    """A token with the scopes orders:write, inventory:write, reports:write and synthetic."""


def build(settings: TrafficSettings) -> Service:
    """Return the service, not yet started."""
    service = Service("traffic", settings, version=__version__)
    gateway = service.add(
        HttpClient(settings.gateway_url, name="gateway", timeout=TIMEOUT, retries=0, connections=4)
    )
    customer = Customer(gateway, settings.traffic_token)
    service.background("shopper", Shopper(customer, pace=PACE).run)
    service.background("order prober", Prober(OrderProbe(customer)).run)
    service.background("report prober", Prober(ReportProbe(customer)).run)
    service.serve(Routes())
    return service


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, TrafficSettings)
