"""A Valkey or Redis that a service can do without: short deadlines, and a pause after a failure."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from weft.errors import Unavailable
from weft.settings import Secret
from weft.telemetry import get_logger

TIMEOUT: Final = 0.1
"""Seconds that a request waits for it at most."""
PAUSE: Final = 2.0
"""Seconds without asking it after it failed."""
CONNECTIONS: Final = 32

T = TypeVar("T")

log = get_logger(__name__)


class Valkey:
    """Asked by `use`, which goes on without it. Without an address it is always away."""

    def __init__(self, url: Secret | None, *, use: str, timeout: float = TIMEOUT) -> None:
        self._use = use
        self._timeout = timeout
        self._redis = _client(url, timeout)
        self._away_until = 0.0
        self._away = False

    @property
    def away(self) -> bool:
        """Whether it is not worth asking now."""
        return self._redis is None or time.monotonic() < self._away_until

    async def ask(self, call: Callable[[Redis], Awaitable[T]]) -> T:
        """Return what `call` gives. Raises Unavailable: after a failure for a while at once."""
        if self.away:
            raise Unavailable("valkey", "left alone")
        return await self.insist(call, seconds=self._timeout)

    async def insist(self, call: Callable[[Redis], Awaitable[T]], *, seconds: float) -> T:
        """Ask it even if it failed just now, and wait for `seconds`. Raises Unavailable."""
        if self._redis is None:
            raise Unavailable("valkey", "not set")
        try:
            async with asyncio.timeout(seconds):
                answer = await call(self._redis)
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            raise Unavailable("valkey", type(error).__name__) from error
        self._answered()
        return answer

    def leave_alone(self, seconds: float) -> None:
        """Let `ask` fail at once for so long."""
        self._away_until = max(self._away_until, time.monotonic() + seconds)

    async def stop(self) -> None:
        """Close the connections."""
        if self._redis is not None:
            await self._redis.aclose()

    def _failed(self, error: Exception) -> None:
        self.leave_alone(PAUSE)
        if not self._away:
            facts = {"weft.component": self._use, "error.type": type(error).__name__}
            log.warning("valkey is away, going on without it", **facts)
        self._away = True

    def _answered(self) -> None:
        if self._away:
            log.info("valkey is back", **{"weft.component": self._use})
        self._away = False


def _client(url: Secret | None, timeout: float) -> Redis | None:
    if url is None:
        return None
    pool = BlockingConnectionPool.from_url(
        url.reveal(),
        max_connections=CONNECTIONS,
        timeout=timeout,
        socket_connect_timeout=timeout,
    )
    return Redis.from_pool(pool)
