"""The system's secrets: made once, each in a file of its own that only its owner may read."""

import json
import secrets
from base64 import b64encode
from pathlib import Path
from typing import Final
from urllib.parse import quote

from stack.home import write
from stack.ports import Ports
from weft.http import TokenSigner, new_private_key
from weft.telemetry.synthetic import SYNTHETIC

ADMIN: Final = "weft_admin"
MONITORING: Final = "weft_monitoring"
OPERATOR: Final = "weft_operator"
"""Who looks after dead letters: reads those queues alone, and sends back to their services."""
VHOST: Final = "weft"
READERS: Final = {"orders_reader": "orders"}
"""Roles that only read the views of a service's read model, each with its database."""
_PASSWORD_BYTES: Final = 24
_NO_CHANNELS: Final = "# The ways to people that the notifier has: docs/alerts.md.\n"
_TRAFFIC: Final = ("orders:write", "inventory:write", "reports:write", SYNTHETIC)
_RUNNER: Final = ("reports:run",)
_YEARS: Final = 10 * 365 * 86400.0
"""Seconds that the traffic's token is good: as long as the key that stands beside it, about."""


class NoCredentialsError(Exception):
    """The system was never started, or by an older Weft that had no such secret."""


class Credentials:
    """Passwords and keys under `folder`, and the addresses that hold them."""

    def __init__(self, folder: Path, ports: Ports) -> None:
        self._folder = folder
        self._ports = ports

    def make(self, services: list[str]) -> None:
        """Make what is missing; what is there stays, but the traffic's token: its scopes grow."""
        users = [ADMIN, *services]
        roles = [f"postgres-{user}" for user in (*users, *READERS)]
        for name in [*roles, "valkey", "grafana-admin"]:
            self._make(name, secrets.token_urlsafe(_PASSWORD_BYTES))
        for user in [*users, MONITORING, OPERATOR]:
            self._make(f"rabbitmq-{user}", secrets.token_urlsafe(_PASSWORD_BYTES))
        self._make("card-provider-key", secrets.token_urlsafe(_PASSWORD_BYTES))
        for name in ("webhook-secret", "report-webhook-secret"):
            self._make(name, "whsec_" + b64encode(secrets.token_bytes(32)).decode())
        self._make("webhook-key", secrets.token_urlsafe(32))
        self._make("alerts-key", secrets.token_urlsafe(_PASSWORD_BYTES))
        self._make("notifier-channels", _NO_CHANNELS)
        self._make("token-key.pem", new_private_key().decode())
        write(self.jwks_path, json.dumps(self.signer().jwks()) + "\n")
        self.file("traffic-token", self.signer().mint("traffic", _TRAFFIC, _YEARS).token)
        runner = self.signer().mint("report_runner", _RUNNER, _YEARS)
        self._make("report-runner-token", runner.token)
        for service in services:
            self.file(f"{service}.database-url", self.database_url(service, service))
            self.file(f"{service}.broker-url", self.broker_url(service, VHOST))
        for reader, database in READERS.items():
            self.file(f"{reader}.database-url", self.database_url(reader, database))
        self.file("valkey-url", self.redis_url())

    def remove(self, service: str) -> None:
        """Delete the secrets of a service that `make` has made."""
        for name in (f"postgres-{service}", f"rabbitmq-{service}"):
            self.path(name).unlink(missing_ok=True)
        for kind in ("database", "broker"):
            self.path(f"{service}.{kind}-url").unlink(missing_ok=True)

    def exist(self) -> bool:
        return self.jwks_path.exists()

    def password(self, name: str) -> str:
        """Return the secret called `name`; NoCredentialsError if it was never made."""
        try:
            return (self._folder / name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            why = f"has no secret {name} yet" if self.exist() else "was never started"
            raise NoCredentialsError(f"this system {why}: run `weft up` first") from None

    def file(self, name: str, text: str) -> Path:
        """Write a secret `text` into a file, and return its path."""
        path = self._folder / name
        write(path, text + "\n")
        return path

    def path(self, name: str) -> Path:
        return self._folder / name

    @property
    def jwks_path(self) -> Path:
        return self._folder / "jwks.json"

    def signer(self) -> TokenSigner:
        """Return what signs tokens; NoCredentialsError if it was never made."""
        return TokenSigner(self.password("token-key.pem").encode())

    def database_url(self, user: str, database: str) -> str:
        password = quote(self.password(f"postgres-{user}"), safe="")
        return f"postgresql://{user}:{password}@{self._ports.address('postgres')}/{database}"

    def broker_url(self, user: str, vhost: str) -> str:
        password = quote(self.password(f"rabbitmq-{user}"), safe="")
        server = self._ports.address("rabbitmq")
        return f"amqp://{user}:{password}@{server}/{quote(vhost, safe='')}"

    def management_url(self) -> str:
        password = quote(self.password(f"rabbitmq-{ADMIN}"), safe="")
        return f"http://{ADMIN}:{password}@{self._ports.address('rabbitmq-management')}"

    def redis_url(self) -> str:
        password = quote(self.password("valkey"), safe="")
        return f"redis://:{password}@{self._ports.address('valkey')}/0"

    def _make(self, name: str, text: str) -> None:
        if not (self._folder / name).exists():
            self.file(name, text)
