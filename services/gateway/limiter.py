"""How often a caller may ask: one bucket for each subject, shared by all gateways through Redis.

Redis is asked for a batch of tokens, not for each request. While it is away every gateway keeps to
the limit by itself.
"""

import asyncio
import time
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.gateway.buckets import Bounded, Bucket, Lease
from weft.settings import Secret
from weft.telemetry import get_logger

SUBJECTS: Final = 10_000
"""Callers whose buckets are kept in memory."""
BATCH_SECONDS: Final = 0.05
"""How much of a second's tokens is taken from Redis at once."""
LEASE_SECONDS: Final = 1.0
"""After this time, unspent tokens are void: the shared bucket has filled up again."""
REDIS_TIMEOUT: Final = 0.1
"""Seconds that a request waits for Redis at most."""
PAUSE: Final = 2.0
"""Seconds without asking Redis after it failed."""

log = get_logger(__name__)
_SCRIPT: Final = Path(__file__).with_name("bucket.lua").read_text(encoding="utf-8")


class Limiter:
    """Component. `rate` requests a second for each subject, `burst` of them at once."""

    name = "rate limiter"

    def __init__(self, redis_url: Secret | None, *, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._batch = max(1, min(burst, int(rate * BATCH_SECONDS)))
        self._local: Bounded[Bucket] = Bounded(SUBJECTS)
        self._leases: Bounded[Lease] = Bounded(SUBJECTS)
        self._locks: Bounded[asyncio.Lock] = Bounded(SUBJECTS)
        self._redis = _client(redis_url)
        self._away_until = 0.0
        self._away = False

    async def start(self) -> None:
        """Begin; Redis is not waited for."""

    async def check(self) -> None:
        """Say nothing against Redis being away: the limit holds without it."""

    async def stop(self) -> None:
        """Close the connections to Redis."""
        if self._redis is not None:
            await self._redis.aclose()

    async def take(self, subject: str) -> float:
        """Count one request of `subject`: 0.0 if it may pass, else seconds until the next may."""
        if self._redis is None or time.monotonic() < self._away_until:
            return self._take_locally(subject)
        lease = self._leases.get(subject, Lease)
        if lease.spend(time.monotonic()):
            return 0.0
        async with self._locks.get(subject, asyncio.Lock):
            return await self._take_shared(self._redis, subject, lease)

    async def _take_shared(self, redis: Redis, subject: str, lease: Lease) -> float:
        now = time.monotonic()
        if lease.spend(now):
            return 0.0
        if now < lease.refused_until:
            return lease.refused_until - now
        try:
            given, wait = await self._ask(redis, subject)
        except (RedisError, OSError, TimeoutError) as error:
            self._redis_failed(error)
            return self._take_locally(subject)
        self._redis_answered()
        now = time.monotonic()
        if not given:
            lease.refused_until = now + wait
            return wait
        lease.tokens, lease.expires_at = given - 1, now + LEASE_SECONDS
        return 0.0

    async def _ask(self, redis: Redis, subject: str) -> tuple[int, float]:
        async with asyncio.timeout(REDIS_TIMEOUT):
            given, wait = await redis.eval(
                _SCRIPT, 1, f"weft:rate:{subject}", self._rate, self._burst, self._batch
            )
        return int(given), int(wait) / 1000

    def _take_locally(self, subject: str) -> float:
        now = time.monotonic()
        bucket = self._local.get(
            subject, lambda: Bucket(rate=self._rate, burst=self._burst, now=now)
        )
        return bucket.take(now)

    def _redis_failed(self, error: Exception) -> None:
        self._away_until = time.monotonic() + PAUSE
        if not self._away:
            log.warning("rate limits are not shared", why=type(error).__name__)
        self._away = True

    def _redis_answered(self) -> None:
        if self._away:
            log.info("rate limits are shared again")
        self._away = False


def _client(url: Secret | None) -> Redis | None:
    if url is None:
        return None
    return Redis.from_url(
        url.reveal(), socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
    )
