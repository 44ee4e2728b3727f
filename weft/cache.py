"""A cache beside the database, shared by all instances through Valkey or Redis.

What is read is kept for a while; whoever changes it calls `forget` after the commit. Both are made
safe against each other by a token that every entry on its way has (a lease, as in Nishtala et al.,
"Scaling Memcache at Facebook", 2013): `forget` takes the token away, and what was read before it
is not kept any more.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from uuid import uuid4

from redis.asyncio import Redis

from weft.errors import Unavailable
from weft.settings import Secret
from weft.telemetry import counter, fact
from weft.valkey import TIMEOUT, Valkey

TOKEN_SECONDS: Final = 30.0
"""What takes longer to read is not kept."""
FORGET_SECONDS: Final = 1.0
"""Seconds that forgetting may take; nobody waits for it but who has just changed the entry."""

Load = Callable[[], Awaitable[bytes | None]]

_FIND: Final = """
local value = redis.call('GET', KEYS[1])
if value then return {value, ''} end
local token = redis.call('GET', KEYS[2])
if not token then
    token = ARGV[1]
    redis.call('SET', KEYS[2], token, 'PX', ARGV[2])
end
return {false, token}
"""
_KEEP: Final = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""

_reads = counter("weft.cache.reads", "{read}", "Reads of a cache, by how they ended.")


class Cache:
    """Component. An entry is kept for `seconds` at most, less up to a fifth at random.

    `timeout` is the seconds that a read waits for Valkey. While that is away everything is read
    from the source. What could not be forgotten is gone after `seconds`: so long this instance
    reads from the source, too.
    """

    def __init__(
        self, url: Secret | None, *, name: str, seconds: float, timeout: float = TIMEOUT
    ) -> None:
        self.name = f"{name} cache"
        self._prefix = f"weft:cache:{name}:"
        self._labels = {"weft.cache.name": name}
        self._seconds = seconds
        self._valkey = Valkey(url, use=self.name, timeout=timeout)
        self._asking: dict[str, asyncio.Task[tuple[bytes | None, bytes]]] = {}
        self._loading: dict[bytes, asyncio.Task[bytes | None]] = {}
        self._forgetting: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin; Valkey is not waited for."""

    async def check(self) -> None:
        """Say nothing against Valkey being away: the source has everything."""

    async def stop(self) -> None:
        """Forget what is to be forgotten, and close the connections."""
        await asyncio.gather(*self._forgetting, *self._loading.values(), return_exceptions=True)
        await self._valkey.stop()

    async def get(self, key: str, load: Load) -> bytes | None:
        """Return the entry, or what `load` reads, which is kept unless it is None.

        Of many who miss it at once, one reads for all. Nobody gets what was read before the last
        `forget` that has ended. Raises what `load` raises.
        """
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key), name=self.name)
            asking.add_done_callback(_witness)
        try:
            value, token = await asyncio.shield(asking)
        except Unavailable:
            self._count("away")
            return await load()
        if value is not None:
            self._count("hit")
            return value
        loading = self._loading.get(token)
        self._count("joined" if loading else "miss")
        if loading is None:
            loading = asyncio.create_task(self._load(key, token, load), name=f"{self.name}: {key}")
            self._loading[token] = loading
            loading.add_done_callback(_witness)
        return await asyncio.shield(loading)

    async def forget(self, *keys: str) -> None:
        """Drop entries whose source has changed, after the commit of the change."""
        names = [name for key in keys for name in self._names(key)]
        try:
            await self._valkey.insist(lambda redis: redis.delete(*names), seconds=FORGET_SECONDS)
        except Unavailable:
            self._valkey.leave_alone(self._seconds)

    def forget_soon(self, *keys: str) -> None:
        """Begin to forget: for those who cannot wait for it, such as `tx.on_commit`."""
        task = asyncio.create_task(self.forget(*keys), name=f"{self.name}: forget")
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)

    def _names(self, key: str) -> tuple[str, str]:
        return f"{self._prefix}{key}", f"{self._prefix}{key}:token"

    def _count(self, outcome: str) -> None:
        _reads.add(1, {**self._labels, "weft.cache.outcome": outcome})
        fact("weft.cache.outcome", outcome)

    async def _ask(self, key: str) -> tuple[bytes | None, bytes]:
        # Who comes from here on may come after a change that this does not see.
        del self._asking[key]
        return await self._valkey.ask(lambda redis: self._find(redis, key))

    async def _find(self, redis: Redis, key: str) -> tuple[bytes | None, bytes]:
        new, milliseconds = uuid4().hex, round(TOKEN_SECONDS * 1000)
        found = await redis.eval(_FIND, 2, *self._names(key), new, milliseconds)
        return cast("tuple[bytes | None, bytes]", tuple(found))

    async def _keep(self, redis: Redis, key: str, token: bytes, value: bytes) -> None:
        milliseconds = round(self._seconds * random.uniform(0.8, 1) * 1000)
        await redis.eval(_KEEP, 2, *self._names(key), token, value, milliseconds)

    async def _load(self, key: str, token: bytes, load: Load) -> bytes | None:
        try:
            value = await load()
        finally:
            del self._loading[token]
        if value is not None:
            with contextlib.suppress(Unavailable):
                await self._valkey.ask(lambda redis: self._keep(redis, key, token, value))
        return value


def _witness(task: asyncio.Task[Any]) -> None:
    """Look at a failure that nobody may be waiting for any more."""
    if not task.cancelled():
        task.exception()
