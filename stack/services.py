"""The services of the system, what each may use, and the programs that run them."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stack import settings
from stack.addresses import peers
from stack.home import write_json
from stack.ports import BIND
from stack.probe import http_ok
from stack.program import Program
from stack.system import System

MOST_INSTANCES: Final = 50
DRAIN_SECONDS: Final = 15
"""What a service may take to end: its drain, and its last telemetry."""
STACK_ONLY: Final = {
    "WEFT_HOME",
    "WEFT_PORT_BASE",
    "WEFT_PARTS_DIR",
    "WEFT_STACK",
    "WEFT_SUPERVISED",
    "WEFT_TRAFFIC",
}
TRAFFIC: Final = "traffic"
"""The service that WEFT_TRAFFIC is about."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service: what it may use of the backing parts.

    `publishes` are the first words of the events that it may send; `shares_port` means that all its
    instances listen on one port; `signs` that it makes tokens of its own; `secrets` are handed
    over as WEFT_<NAME>_FILE; `asks` are parts whose address it is given beside those of its peers;
    `local` are settings that it has on this machine unless its user says otherwise; `reads` are
    roles on other services' read models; `artifacts`: it is told where reports are kept;
    `follows`: it is told of instances that come and go.
    """

    name: str
    database: bool = False
    broker: bool = False
    publishes: tuple[str, ...] = ()
    commands: bool = False
    redis: bool = False
    signs: bool = False
    secrets: tuple[str, ...] = ()
    shares_port: bool = False
    asks: tuple[str, ...] = ()
    local: tuple[tuple[str, str], ...] = ()
    reads: tuple[str, ...] = ()
    artifacts: bool = False
    follows: bool = False


_STORE: Final = tuple(
    f"WEFT_ARTIFACTS_{name}" for name in ("URL", "ENDPOINT", "REGION", "CREDENTIALS_FILE")
)
"""A user's own place for reports; its key stands in a file."""
_GIVEN: Final = ("_URL", "_FILE", "_ENDPOINT", "_CREDENTIALS")
"""What settings end with that are addresses or secrets."""

SERVICES: Final = (
    Service(
        name="gateway",
        redis=True,
        signs=True,
        shares_port=True,
        asks=("jaeger", "loki"),
        follows=True,
        local=(("WEFT_DEMO_USER", "true"),),  # everything here listens on loopback alone
    ),
    Service(name="orders", database=True, broker=True, publishes=("order",), commands=True),
    Service(
        name="inventory", database=True, broker=True, publishes=("stock", "product"), redis=True
    ),
    Service(
        name="payments",
        database=True,
        broker=True,
        publishes=("payment",),
        secrets=("card-provider-key", "webhook-secret"),
    ),
    Service(name="card_provider", database=True, secrets=("card-provider-key", "webhook-secret")),
    Service(
        name="reports",
        database=True,
        broker=True,
        publishes=("report",),
        commands=True,
        secrets=("report-webhook-secret", "webhook-key"),
        artifacts=True,
    ),
    Service(
        name="report_runner",
        database=True,
        broker=True,
        secrets=("alerts-key", "report-webhook-secret", "report-runner-token"),
        reads=("orders_reader",),
        artifacts=True,
    ),
    Service(name="notifier", database=True, secrets=("alerts-key", "notifier-channels")),
    Service(name="host_agent"),
    Service(name=TRAFFIC, secrets=("traffic-token",), asks=("gateway",)),
)


def find(name: str) -> Service | None:
    return next((service for service in SERVICES if service.name == name), None)


def instances(system: System) -> dict[str, int]:
    """Return how many instances of each service there should be; 1 where nobody said."""
    chosen = _read(_instances_file(system))
    return {service.name: int(chosen.get(service.name, 1)) for service in SERVICES}


def set_instances(system: System, name: str, count: int) -> None:
    write_json(_instances_file(system), {**instances(system), name: count})


def write_addresses(system: System, counts: Mapping[str, int]) -> None:
    """Say where the instances are of services of which there are so many."""
    write_json(
        system.home.addresses,
        {
            service.name: " ".join(
                f"http://{BIND}:{port(system, service, instance)}"
                for instance in range(max(1, counts[service.name]))
            )
            for service in SERVICES
            if not service.shares_port
        },
    )


def choose_traffic(system: System, environ: Mapping[str, str] = os.environ) -> None:
    """Have the traffic that WEFT_TRAFFIC asks for: some, unless it says none. SettingsError."""
    set_instances(system, TRAFFIC, int(settings.traffic(environ)))


def remember(system: System, environ: Mapping[str, str] = os.environ) -> None:
    """Keep the user's own settings of services (WEFT_ORDER_DEADLINE=5s weft up) until the next
    start: without addresses, which are given anew, unless they are those of a store of his own."""
    chosen = {
        name: str(Path(value).absolute()) if name.endswith("_FILE") else value
        for name, value in environ.items()
        if name.startswith(("WEFT_", "OTEL_"))
        and name not in STACK_ONLY
        and (name in _STORE or not name.endswith(_GIVEN))
    }
    write_json(_environment_file(system), chosen)


def remembered(system: System) -> dict[str, str]:
    """Return what `remember` kept."""
    return _read(_environment_file(system))


def programs(system: System) -> list[Program]:
    """Return one program for each instance of each service."""
    counts = instances(system)
    chosen = remembered(system)
    return [
        _program(system, service, instance, chosen)
        for service in SERVICES
        for instance in range(counts[service.name])
    ]


def port(system: System, service: Service, instance: int) -> int:
    return system.ports.of(service.name, 0 if service.shares_port else instance)


def _program(system: System, service: Service, instance: int, chosen: Mapping[str, str]) -> Program:
    listens = port(system, service, instance)
    identity = f"{service.name}-{instance}"
    return Program(
        id=identity,
        name=service.name,
        kind="service",
        instance=instance,
        port=listens,
        command=(sys.executable, "-m", f"services.{service.name}"),
        environment=environment(system, service, instance, listens, chosen),
        probe=http_ok(f"http://{BIND}:{listens}/readyz"),
        stop_seconds=DRAIN_SECONDS,
    )


def environment(
    system: System, service: Service, instance: int, port: int, chosen: Mapping[str, str]
) -> dict[str, str]:
    """Return what an instance is given: addresses, its own secrets, and the settings `chosen`."""
    store = {name: value for name, value in chosen.items() if name in _STORE}
    return {
        **dict(service.local),
        **{name: value for name, value in chosen.items() if name not in store},
        **_own(system, service),
        **(store if service.artifacts else {}),
        **peers(system.ports),
        "WEFT_BIND": BIND,
        "WEFT_PORT": str(port),
        "WEFT_INSTANCE": str(instance),
        "WEFT_FLAGS": str(system.home.flags),
        "WEFT_FAULTS": str(settings.faults(chosen)).lower(),
        "WEFT_SPILL_DIR": str(system.home.data("spill")),
        "WEFT_JWKS": str(system.credentials.jwks_path),
        "OTEL_SERVICE_NAME": service.name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": system.ports.url("otel-collector-http"),
        "OTEL_RESOURCE_ATTRIBUTES": _resource(chosen, f"{service.name}-{instance}"),
        "PYTHONUNBUFFERED": "1",
    }


def _own(system: System, service: Service) -> dict[str, str]:
    """What leads to its own secrets and parts, and to no other's."""
    credentials = system.credentials
    own: dict[str, str] = {}
    if service.database:
        own["WEFT_DATABASE_URL_FILE"] = str(credentials.path(f"{service.name}.database-url"))
    if service.broker:
        own["WEFT_BROKER_URL_FILE"] = str(credentials.path(f"{service.name}.broker-url"))
    if service.redis:
        own["WEFT_REDIS_URL_FILE"] = str(credentials.path("valkey-url"))
    if service.signs:
        own["WEFT_SIGNING_KEY_FILE"] = str(credentials.path("token-key.pem"))
    for part in service.asks:
        own[f"WEFT_{part.upper()}_URL"] = system.ports.url(part)
    for role in service.reads:
        own[f"WEFT_{role.upper()}_DATABASE_URL_FILE"] = str(
            credentials.path(f"{role}.database-url")
        )
    if service.follows:
        own["WEFT_ADDRESSES"] = str(system.home.addresses)
    if service.artifacts:
        own["WEFT_ARTIFACTS_URL"] = system.home.data("artifacts").as_uri()
    for secret in service.secrets:
        own[f"WEFT_{secret.upper().replace('-', '_')}_FILE"] = str(credentials.path(secret))
    return own


def _resource(chosen: Mapping[str, str], identity: str) -> str:
    given = chosen.get("OTEL_RESOURCE_ATTRIBUTES", "")
    environment = chosen.get("WEFT_ENVIRONMENT", "local")
    ours = (
        f"service.namespace=weft,service.instance.id={identity},"
        f"deployment.environment.name={environment}"
    )
    return f"{given},{ours}" if given else ours


def _instances_file(system: System) -> Path:
    return system.home.config / "instances.json"


def _environment_file(system: System) -> Path:
    return system.home.config / "environment.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return value
