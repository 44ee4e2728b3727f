"""Where everything is: for the services, for tests, for a person's shell."""

from typing import TYPE_CHECKING, Final

from stack.credentials import ADMIN, READERS, VHOST
from stack.ports import Ports

if TYPE_CHECKING:
    from stack.system import System

_MESSAGING: Final = ("orders", "inventory", "payments", "reports", "report_runner")
PEERS: Final = (*_MESSAGING, "card_provider", "notifier", "host_agent")


def peers(ports: Ports) -> dict[str, str]:
    """Return WEFT_ORDERS_URL and its like: what the services find each other by."""
    return {f"WEFT_{name.upper()}_URL": ports.url(name) for name in PEERS}


def public(ports: Ports) -> dict[str, str]:
    """Return the addresses that hold no secret, by variable."""
    return {
        "WEFT_GATEWAY_URL": ports.url("gateway"),
        **peers(ports),
        "WEFT_JAEGER_URL": ports.url("jaeger"),
        "WEFT_PROMETHEUS_URL": ports.url("prometheus"),
        "WEFT_ALERTMANAGER_URL": ports.url("alertmanager"),
        "WEFT_LOKI_URL": ports.url("loki"),
        "WEFT_COLLECTOR_HEALTH_URL": ports.url("otel-collector-health"),
        "WEFT_COLLECTOR_METRICS_URL": ports.url("otel-collector-metrics"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": ports.url("otel-collector-http"),
    }


def environment(system: "System") -> dict[str, str]:
    """Return what a test or an operator needs, passwords too; NoCredentialsError before `up`."""
    credentials = system.credentials
    variables = {
        "WEFT_HOME": str(system.home.path),
        "WEFT_PORT_BASE": str(system.ports.base),
        **public(system.ports),
        "WEFT_ADMIN_DATABASE_URL": credentials.database_url(ADMIN, "postgres"),
        "WEFT_ADMIN_BROKER_URL": credentials.broker_url(ADMIN, "/"),
        "WEFT_ADMIN_MANAGEMENT_URL": credentials.management_url(),
        "WEFT_REDIS_URL": credentials.redis_url(),
        "WEFT_JWKS": str(credentials.jwks_path),
        "WEFT_SIGNING_KEY_FILE": str(credentials.path("token-key.pem")),
    }
    for role, database in (*((name, name) for name in PEERS), *READERS.items()):
        variables[f"WEFT_{role.upper()}_DATABASE_URL"] = credentials.database_url(role, database)
    for name in _MESSAGING:
        variables[f"WEFT_{name.upper()}_BROKER_URL"] = credentials.broker_url(name, VHOST)
    return variables
