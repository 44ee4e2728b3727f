"""One attempt at a webhook: a POST, and what became of it."""

import asyncio
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from weft.errors import WeftError
from weft.telemetry import record
from weft.webhooks.guard import GuardedResolver, UnsafeAddress, check_url
from weft.webhooks.schedule import retry_after

CONNECT_SECONDS: Final = 5.0
MAX_ANSWER: Final = 16 * 1024
"""Bytes of an answer's body that are read, so that the connection can be used again."""

CUSTOMER: Final = "customer"
"""Stands for the host of a customer's endpoint in telemetry: its URL may hold a secret."""

GONE: Final = 410
_WAIT: Final = frozenset((429, 503))
_KEPT: Final = ("traceparent",)


class NoAnswer(WeftError):
    """There was none. The text holds no address."""


class Answer(msgspec.Struct, frozen=True):
    """What came of an attempt: a status, or why there is none. `retry_after` is in seconds."""

    status: int | None
    error: str | None = None
    retry_after: float = 0.0

    @property
    def taken(self) -> bool:
        """2xx is a success, and nothing else."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - any success


class Poster:
    """The connections over which webhooks are sent; those of customers' are guarded."""

    def __init__(self, *, timeout: float, connections: int, private: bool) -> None:
        self._timeout = timeout
        self._connections = connections
        self._private = private
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def start(self) -> None:
        """Make the pools of connections."""
        for guarded in (False, True):
            resolver = GuardedResolver() if guarded and not self._private else None
            self._sessions[guarded] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections, keepalive_timeout=15.0, resolver=resolver
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity", "User-Agent": "weft-webhooks"},
                timeout=aiohttp.ClientTimeout(total=self._timeout, connect=CONNECT_SECONDS),
            )

    async def stop(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()))

    async def post(
        self, url: str, headers: dict[str, str], body: bytes, *, guarded: bool, attempt: int
    ) -> Answer:
        """Send a webhook once; no redirect is followed. Never raises for what the other side did.

        The text of an error holds no address.
        """
        try:
            checked = check_url(url, private=self._private) if guarded else URL(url)
            return await self._exchange(checked, headers, body, guarded=guarded, attempt=attempt)
        except (UnsafeAddress, NoAnswer) as error:
            return Answer(None, str(error))

    async def _exchange(
        self, url: URL, headers: dict[str, str], body: bytes, *, guarded: bool, attempt: int
    ) -> Answer:
        with record.http_client(
            "POST",
            "" if guarded else url.path,
            host=CUSTOMER if guarded else url.host or "",
            port=url.port or 0,
            url="" if guarded else str(url.with_query(None)),
            attempt=attempt,
        ) as span:
            carrier = span.carrier
            if guarded:
                carrier = {name: carrier[name] for name in _KEPT if name in carrier}
            try:
                async with self._sessions[guarded].post(
                    url, data=body, headers=headers | carrier, allow_redirects=False
                ) as response:
                    span.status = response.status
                    await _read_some(response)
                    wish = retry_after(response.headers) if response.status in _WAIT else 0.0
                    return Answer(response.status, retry_after=wish)
            except (aiohttp.ClientError, OSError) as error:
                raise NoAnswer(_why(error)) from None


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error.__cause__, UnsafeAddress):
        return str(error.__cause__)
    return f"no answer ({type(error).__name__})"


async def _read_some(response: aiohttp.ClientResponse) -> None:
    read = 0
    async for chunk in response.content.iter_any():
        read += len(chunk)
        if read > MAX_ANSWER:
            response.close()
            return
