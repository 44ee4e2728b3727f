"""Optimistic concurrency: what lost against another transaction is tried again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from weft.messaging.backoff import Backoff
from weft.postgres.errors import CONFLICTS

T = TypeVar("T")

TRIES = 10


async def retry_on_conflict(work: Callable[[], Awaitable[T]], *, tries: int = TRIES) -> T:
    """Return `await work()`, which opens a transaction of its own each time.

    VersionConflict and TransactionConflict are tried again, with jitter; the last one is raised.
    """
    backoff = Backoff(first=0.005, longest=0.2)
    for _ in range(tries - 1):
        try:
            return await work()
        except CONFLICTS:
            await asyncio.sleep(backoff.next())
    return await work()
