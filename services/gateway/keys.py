"""API keys: who holds which. The list has no key in it, only their SHA-256."""

import hashlib
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from weft.settings import Secret, SettingsError


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a key stands for. `sha256` is the key's digest in lower-case hex digits."""

    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    subject: Annotated[str, Meta(min_length=1, max_length=255)]
    scopes: frozenset[str] = frozenset()


class ApiKeys:
    """The keys that the gateway accepts."""

    def __init__(self, keys: list[ApiKey]) -> None:
        self._by_digest = {key.sha256: key for key in keys}

    @classmethod
    def parse(cls, document: Secret | None) -> Self:
        """Read a JSON list of keys; None is no keys. Raises SettingsError."""
        if document is None:
            return cls([])
        try:
            return cls(msgspec.json.decode(document.reveal(), type=list[ApiKey]))
        except msgspec.DecodeError:
            raise SettingsError("WEFT_API_KEYS: expected a JSON list of API keys") from None

    def find(self, key: str) -> ApiKey | None:
        """Return what `key` stands for. The digest, not the key, is compared."""
        return self._by_digest.get(hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest())
