"""API keys: who holds which. The file has no key in it, only their SHA-256."""

import hashlib
from pathlib import Path
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from weft.settings import SettingsError


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
    def load(cls, path: Path | None) -> Self:
        """Read a JSON list of keys; None is no keys. Raises SettingsError."""
        if path is None:
            return cls([])
        try:
            return cls(msgspec.json.decode(path.read_bytes(), type=list[ApiKey]))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"WEFT_API_KEYS: expected a readable JSON list of keys: {type(error).__name__}"
            ) from None

    def find(self, key: str) -> ApiKey | None:
        """Return what `key` stands for. The digest, not the key, is compared."""
        return self._by_digest.get(hashlib.sha256(key.encode()).hexdigest())
