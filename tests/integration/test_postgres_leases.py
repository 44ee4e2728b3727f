"""Leases: one holder at a time."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from weft.postgres.database import Database
from weft.postgres.leases import Lease


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.start()
    yield database
    await database.stop()


async def test_of_many_one_gets_the_lease(db: Database) -> None:
    leases = [Lease(db, "l", ttl=60.0) for _ in range(8)]
    assert sum(await asyncio.gather(*(lease.acquire() for lease in leases))) == 1
    assert sum(lease.held for lease in leases) == 1


async def test_one_that_is_refused_knows_when_to_come_back(db: Database) -> None:
    await Lease(db, "l", ttl=60.0).acquire()
    other = Lease(db, "l")
    assert not await other.acquire()
    assert 30.0 < other.remaining <= 60.0


async def test_a_lease_that_is_not_renewed_passes_on_with_a_higher_epoch(db: Database) -> None:
    first, second = Lease(db, "l", ttl=0.2), Lease(db, "l")
    await first.acquire()
    end = time.monotonic() + 60
    while not await second.acquire():
        assert time.monotonic() < end
        await asyncio.sleep(second.remaining)
    assert second.epoch == first.epoch + 1
    assert not first.held
    assert not await first.renew()


async def test_renewing_keeps_it(db: Database) -> None:
    first, second = Lease(db, "l", ttl=60.0), Lease(db, "l")
    await first.acquire()
    for _ in range(3):
        await db.execute("UPDATE weft.leases SET expires_at = now() + interval '5 s'")
        assert await first.renew()
        assert first.held
        assert not await second.acquire()
        assert second.remaining > 30.0


async def test_a_released_lease_is_free_at_once(db: Database) -> None:
    first, second = Lease(db, "l"), Lease(db, "l")
    await first.acquire()
    await first.release()
    assert not first.held
    assert await second.acquire()


async def test_releasing_a_lost_lease_does_not_take_it_from_its_holder(db: Database) -> None:
    first, second = Lease(db, "l"), Lease(db, "l", ttl=60.0)
    await first.acquire()
    await db.execute("UPDATE weft.leases SET expires_at = 'epoch'")
    await second.acquire()
    await first.release()
    assert not await Lease(db, "l").acquire()
    assert second.held
