"""What the containers are given: a file for each secret, and the variables of compose.yaml.

The files are in a folder that only its owner may enter; each by itself is readable, because a
container's user is another one.
"""

import hashlib
import json
from pathlib import Path
from typing import Final

from stack import services, settings
from stack.backing import grafana, postgres, rabbitmq, valkey
from stack.compose.inside import BIND, inside
from stack.credentials import ADMIN, READERS, VHOST
from stack.home import write
from stack.system import System
from weft.settings import SettingsError

POSTGRES: Final = "18"
"""The image's version, by which its roles are set up."""
_READABLE: Final = 0o644
_PUBLISHED: Final = {
    "GATEWAY": "gateway",
    "RABBITMQ": "rabbitmq-management",
    "JAEGER": "jaeger",
    "PROMETHEUS": "prometheus",
    "ALERTMANAGER": "alertmanager",
    "LOKI": "loki",
    "GRAFANA": "grafana",
}


def folder(system: System) -> Path:
    return system.home.config / "compose"


def variables_file(system: System) -> Path:
    """Return the file of compose.yaml's variables; it is there while the system has containers."""
    return folder(system) / "compose.env"


def prepare(system: System) -> None:
    """Write every file. SettingsError for a setting that an environment file cannot hold."""
    system.home.flags.parent.mkdir(mode=0o755, exist_ok=True)
    given = folder(system) / "secrets"
    given.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in secrets(system).items():
        write(given / name, text.rstrip("\n") + "\n", mode=_READABLE)
    write(folder(system) / "services.env", _services_environment(system))
    lines = (f"{name}={value}\n" for name, value in variables(system).items())
    write(variables_file(system), "".join(lines))


def secrets(system: System) -> dict[str, str]:
    """Return what is in each secret's file, by name."""
    within = inside(system)
    credentials = within.credentials
    admin = f"postgres-{ADMIN}"
    databases = [service.name for service in services.SERVICES if service.database]
    given = {
        "token-key.pem": credentials.password("token-key.pem"),
        "jwks.json": credentials.jwks_path.read_text(encoding="utf-8"),
        grafana.ADMIN_PASSWORD: credentials.password(grafana.ADMIN_PASSWORD),
        grafana.READER_PASSWORD: credentials.password(grafana.READER_PASSWORD),
        "valkey": credentials.password("valkey"),
        "valkey-url": credentials.redis_url(),
        "valkey.conf": valkey.configuration(within, BIND, "/data"),
        admin: credentials.password(admin),
        "postgres-roles.sql": postgres.script_of(within, POSTGRES, databases),
        "rabbitmq-definitions.json": _definitions(within),
    }
    for service in services.SERVICES:
        given |= {name: credentials.password(name) for name in service.secrets}
        for role in service.reads:
            url = credentials.database_url(role, READERS[role])
            given[f"{role}.database-url"] = url
        if service.database:
            url = credentials.database_url(service.name, service.name)
            given[f"{service.name}.database-url"] = url
        if service.broker:
            given[f"{service.name}.broker-url"] = credentials.broker_url(service.name, VHOST)
    return given


def variables(system: System) -> dict[str, str]:
    """Return what compose.yaml leaves open: no secret is among it."""
    chosen = services.remembered(system)
    attributes = [
        *filter(None, [chosen.get("OTEL_RESOURCE_ATTRIBUTES")]),
        f"deployment.environment.name={chosen.get('WEFT_ENVIRONMENT', 'local')}",
    ]
    published = {name: system.ports.of(part) for name, part in _PUBLISHED.items()}
    return {
        "COMPOSE_PROJECT_NAME": project(system),
        "WEFT_GIVEN": str(folder(system)),
        "WEFT_FAULTS": str(settings.faults(chosen)).lower(),
        "WEFT_RESOURCE_ATTRIBUTES": ",".join(attributes),
        "WEFT_TRAFFIC": str(services.instances(system)[services.TRAFFIC]),
        "WEFT_DEFINITIONS_DIGEST": _digest(_definitions(inside(system))),
        **{f"WEFT_PUBLISHED_{name}": str(port) for name, port in published.items()},
    }


def project(system: System) -> str:
    """Return the name before its containers, networks and volumes: its own for each home."""
    digest = hashlib.sha256(str(system.home.path).encode()).hexdigest()
    return f"weft-{digest[:8]}"


def _definitions(system: System) -> str:
    made = rabbitmq.definitions(system.credentials.password, services.SERVICES)
    return json.dumps(made, indent=2)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _services_environment(system: System) -> str:
    chosen = services.remembered(system)
    if broken := next((name for name, value in chosen.items() if "\n" in value), None):
        raise SettingsError(f"{broken}: expected one line")
    return "".join(f"{name}={value}\n" for name, value in chosen.items())
