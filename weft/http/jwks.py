"""The public keys that tokens are verified with, from a file or a URL."""

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import jwt

from weft.errors import Unavailable
from weft.telemetry import get_logger

FETCH_DEADLINE = 2.0
"""Seconds."""

RETRY = 1.0
"""Seconds between two looks while there is no key at all."""

MAX_DOCUMENT = 1 << 16
"""Bytes of a key set."""

MAX_KEYS = 64

log = get_logger(__name__)


class KeySet:
    """Keys by `kid`. A kid that is not known makes it look again, at most every `refresh` seconds.

    What was read stays in use while the source is away.
    """

    def __init__(self, source: str, *, refresh: float = 10.0) -> None:
        self._source = source
        self._refresh = refresh
        self._keys: dict[str, Any] = {}
        self._next_look = float("-inf")
        self._reading = asyncio.Lock()
        self._complained = False

    async def key(self, kid: str) -> Any | None:
        """Return the key, None if the set has none of that name; raise Unavailable."""
        if kid not in self._keys:
            await self._look_again()
        return self._keys.get(kid)

    async def _look_again(self) -> None:
        async with self._reading:
            if time.monotonic() >= self._next_look:
                try:
                    self._keys = _parse(await self._read())
                    self._complained = False
                except (OSError, TimeoutError, ValueError, aiohttp.ClientError) as error:
                    self._complain(error)
                self._next_look = time.monotonic() + (self._refresh if self._keys else RETRY)
            if not self._keys:
                raise Unavailable("jwks", "the key set cannot be read")

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            log.warning("key set cannot be read", **{"error.type": type(error).__name__})
        self._complained = True

    async def _read(self) -> bytes:
        if not self._source.startswith(("http://", "https://")):
            return await asyncio.to_thread(Path(self._source).read_bytes)
        timeout = aiohttp.ClientTimeout(total=FETCH_DEADLINE)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.get(self._source) as response,
        ):
            document = bytearray()
            async for chunk in response.content.iter_any():
                document += chunk
                if len(document) > MAX_DOCUMENT:
                    raise ValueError("the key set is too large")
            return bytes(document)


def _parse(document: bytes) -> dict[str, Any]:
    """Return the Ed25519 keys of a key set; raise ValueError if it is none or has none."""
    try:
        keys = jwt.PyJWKSet.from_json(document.decode()).keys[:MAX_KEYS]
    except (jwt.PyJWTError, AttributeError, TypeError) as error:
        raise ValueError(str(error)) from None
    found = {k.key_id: k.key for k in keys if k.key_id and k.algorithm_name == "EdDSA"}
    if not found:
        raise ValueError("no EdDSA key")
    return found
