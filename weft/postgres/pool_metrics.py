"""What the pools of this process tell of themselves (semantic conventions, database clients)."""

from typing import Final, TypeAlias

import asyncpg

from weft.telemetry import Readings, observed_up_down_counter

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_NAME: Final = "db.client.connection.pool.name"
_STATE: Final = "db.client.connection.state"
_pools: Final[dict[str, Pool]] = {}


def watch(name: str, pool: Pool) -> None:
    """Tell of `pool` by its name from now on, instead of any other of that name."""
    _pools[name] = pool


def forget(name: str) -> None:
    """Tell no longer of the pool of that name."""
    _pools.pop(name, None)


def connections() -> Readings:
    """Return how many connections each pool has, by what they do."""
    told: Readings = {}
    for name, pool in tuple(_pools.items()):
        idle = pool.get_idle_size()
        told[(_NAME, name), (_STATE, "idle")] = idle
        told[(_NAME, name), (_STATE, "used")] = max(pool.get_size() - idle, 0)
    return told


def most() -> Readings:
    """Return how many connections each pool may have."""
    return {((_NAME, name),): pool.get_max_size() for name, pool in tuple(_pools.items())}


observed_up_down_counter(
    "db.client.connection.count", "{connection}", "Connections of a pool, by state.", connections
)
observed_up_down_counter(
    "db.client.connection.max", "{connection}", "Connections that a pool may have.", most
)
