"""Writes the dashboards: `python -m grafana.build`."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.alerts import alerts
from grafana.errors import errors
from grafana.hosts import hosts
from grafana.messaging import messaging
from grafana.order import order
from grafana.orders import orders
from grafana.overview import overview
from grafana.postgresql import postgresql
from grafana.rabbitmq import rabbitmq
from grafana.reports import reports
from grafana.runbooks import runbooks
from grafana.service import service
from grafana.telemetry import telemetry

FOLDER: Final = Path(__file__).with_name("dashboards")
_MADE: Final = (
    overview,
    service,
    orders,
    order,
    messaging,
    reports,
    postgresql,
    rabbitmq,
    telemetry,
    errors,
    alerts,
    runbooks,
    hosts,
)
DASHBOARDS: Final[dict[str, Callable[[], Dashboard]]] = {
    f"{make.__name__}.json": make for make in _MADE
}


def rendered(make: Callable[[], Dashboard]) -> str:
    """Return the JSON of a dashboard, as it lies in its file."""
    return JSONEncoder(indent=2, sort_keys=True).encode(make().build()) + "\n"


def main() -> None:
    """Write every dashboard to its file."""
    for name, make in DASHBOARDS.items():
        (FOLDER / name).write_text(rendered(make), encoding="utf-8")


if __name__ == "__main__":
    main()
