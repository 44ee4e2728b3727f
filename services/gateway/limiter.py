"""How often a caller may ask: one bucket for each subject, shared by all gateways through Redis.

Redis is asked for a batch of tokens, not for each request. While it is away every gateway keeps to
the limit by itself.
"""

import asyncio
import time
from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from services.gateway.buckets import Bounded, Bucket, Lease
from weft.errors import Unavailable
from weft.settings import Secret
from weft.valkey import Valkey

SUBJECTS: Final = 10_000
"""Callers whose buckets are kept in memory."""
BATCH_SECONDS: Final = 0.05
"""How much of a second's tokens is taken from Redis at once."""
LEASE_SECONDS: Final = 1.0
"""After this time, unspent tokens are void: the shared bucket has filled up again."""

_SCRIPT: Final = Path(__file__).with_name("bucket.lua").read_text(encoding="utf-8")


class Limiter:
    """Component. `rate` requests a second for each subject, `burst` of them at once.

    `counts` names what is counted, apart from what other limiters count.
    """

    def __init__(
        self, redis_url: Secret | None, *, rate: float, burst: int, counts: str = "rate"
    ) -> None:
        self.name = f"{counts} limiter"
        self._counts = counts
        self._rate = rate
        self._burst = burst
        self._batch = max(1, min(burst, int(rate * BATCH_SECONDS)))
        self._local: Bounded[Bucket] = Bounded(SUBJECTS)
        self._leases: Bounded[Lease] = Bounded(SUBJECTS)
        self._locks: Bounded[asyncio.Lock] = Bounded(SUBJECTS)
        self._redis = Valkey(redis_url, use=self.name)

    async def start(self) -> None:
        """Begin; Redis is not waited for."""

    async def check(self) -> None:
        """Say nothing against Redis being away: the limit holds without it."""

    async def stop(self) -> None:
        """Close the connections to Redis."""
        await self._redis.stop()

    async def take(self, subject: str) -> float:
        """Count one request of `subject`: 0.0 if it may pass, else seconds until the next may."""
        if self._redis.away:
            return self._take_locally(subject)
        lease = self._leases.get(subject, Lease)
        if lease.spend(time.monotonic()):
            return 0.0
        async with self._locks.get(subject, asyncio.Lock):
            return await self._take_shared(subject, lease)

    async def _take_shared(self, subject: str, lease: Lease) -> float:
        now = time.monotonic()
        if lease.spend(now):
            return 0.0
        if now < lease.refused_until:
            return lease.refused_until - now
        try:
            given, wait = await self._redis.ask(lambda redis: self._ask(redis, subject))
        except Unavailable:
            return self._take_locally(subject)
        now = time.monotonic()
        if not given:
            lease.refused_until = now + wait
            return wait
        lease.tokens, lease.expires_at = given - 1, now + LEASE_SECONDS
        return 0.0

    async def _ask(self, redis: Redis, subject: str) -> tuple[int, float]:
        given, wait = await redis.eval(
            _SCRIPT, 1, f"weft:{self._counts}:{subject}", self._rate, self._burst, self._batch
        )
        return int(given), int(wait) / 1000

    def _take_locally(self, subject: str) -> float:
        now = time.monotonic()
        bucket = self._local.get(
            subject, lambda: Bucket(rate=self._rate, burst=self._burst, now=now)
        )
        return bucket.take(now)
