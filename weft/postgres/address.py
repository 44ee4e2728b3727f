"""Where a database is."""

from typing import Self
from urllib.parse import unquote, urlsplit

import msgspec


class Address(msgspec.Struct, frozen=True):
    """What telemetry and errors say of a database; nothing secret."""

    name: str
    """The component's name."""
    host: str
    port: int
    database: str

    @classmethod
    def of(cls, url: str, name: str) -> Self:
        """Read the address out of a `postgresql://` URL."""
        parts = urlsplit(url)
        return cls(
            name=name,
            host=parts.hostname or "localhost",
            port=parts.port or 5432,
            database=unquote(parts.path.removeprefix("/")) or "postgres",
        )
