"""The system's secrets: made once, each in a file of its own that only its owner may read."""

import json
import secrets
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from stack.home import write
from stack.ports import Ports
from stack.tokens import public_jwk

ADMIN: Final = "weft_admin"
MONITORING: Final = "weft_monitoring"
VHOST: Final = "weft"
_PASSWORD_BYTES: Final = 24


class NoCredentialsError(Exception):
    """The system was never started, so it has no secrets yet."""


class Credentials:
    """Passwords and keys under `folder`, and the addresses that hold them."""

    def __init__(self, folder: Path, ports: Ports) -> None:
        self._folder = folder
        self._ports = ports

    def make(self, services: list[str]) -> None:
        """Make what is missing; what is there stays."""
        users = [ADMIN, *services]
        for name in [*(f"postgres-{user}" for user in users), "valkey"]:
            self._make_password(name)
        for user in [*users, MONITORING]:
            self._make_password(f"rabbitmq-{user}")
        if not self.token_key_path.exists():
            write(self.token_key_path, _new_key())
        write(self.jwks_path, json.dumps({"keys": [self._jwk()]}) + "\n")
        for service in services:
            self.file(f"{service}.database-url", self.database_url(service, service))
            self.file(f"{service}.broker-url", self.broker_url(service, VHOST))
        self.file("valkey-url", self.redis_url())

    def password(self, name: str) -> str:
        """Return the password called `name`; NoCredentialsError before the first start."""
        try:
            return (self._folder / name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise NoCredentialsError("this system was never started: run `weft up` first") from None

    def file(self, name: str, text: str) -> Path:
        """Write a secret `text` into a file, and return its path."""
        path = self._folder / name
        write(path, text + "\n")
        return path

    def path(self, name: str) -> Path:
        return self._folder / name

    @property
    def token_key_path(self) -> Path:
        return self._folder / "token-key.pem"

    @property
    def jwks_path(self) -> Path:
        return self._folder / "jwks.json"

    def token_key(self) -> Ed25519PrivateKey:
        """Return the key that tokens are signed with."""
        if not self.token_key_path.exists():
            raise NoCredentialsError("this system was never started: run `weft up` first")
        key = load_pem_private_key(self.token_key_path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("token-key.pem holds no Ed25519 key")
        return key

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

    def _make_password(self, name: str) -> None:
        if not (self._folder / name).exists():
            self.file(name, secrets.token_urlsafe(_PASSWORD_BYTES))

    def _jwk(self) -> dict[str, Any]:
        public = self.token_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return public_jwk(public)


def _new_key() -> str:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode("ascii")
