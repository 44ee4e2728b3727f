"""Workers: shared out over the instances, each with one report in hand."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from services.report_runner.requestor import Claim
from services.report_runner.workers import Workers
from tests.integration.shop.kit import until
from weft.postgres import Database

SCHEMA = Path(__file__).resolve().parents[3] / "services" / "report_runner" / "schema"
CLAIM = Claim(
    report_id="a", fence=1, kind="sales", first=date(2026, 1, 1), end=date(2026, 1, 2),
    format="csv", lease=10, remaining=100,
)  # fmt: skip


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, schema=SCHEMA)
    await database.start()
    yield database
    await database.stop()


async def desired(db: Database, workers: int) -> None:
    await db.execute("UPDATE workers SET desired = $1", workers)


async def never(_: Claim) -> None:
    await asyncio.Event().wait()


async def test_two_instances_share_the_workers_and_one_that_leaves_leaves_its_share(
    db: Database,
) -> None:
    one, other = Workers(db, never, drain=0.1), Workers(db, never, drain=0.1)
    await desired(db, 5)
    await one.start()
    assert one.capacity == 5
    await other.start()

    async def shared() -> bool:
        return sorted((one.capacity, other.capacity)) == [2, 3]

    await until(shared)
    await other.stop()

    async def alone() -> bool:
        return one.capacity == 5

    await until(alone)
    await one.stop()


async def test_a_worker_with_a_report_is_not_free_until_its_report_has_ended(db: Database) -> None:
    heard: list[bool] = []
    end = asyncio.Event()

    async def run(_: Claim) -> None:
        await end.wait()

    await desired(db, 1)
    workers = Workers(db, run, drain=5)
    await workers.start()
    workers.listen(heard.append)
    workers.give(CLAIM)
    assert workers.free == 0
    end.set()

    async def free() -> bool:
        return workers.free == 1

    await until(free)
    await workers.stop()
    assert heard == [True, False, True, False]


async def test_what_is_not_done_within_the_drain_time_is_cancelled(db: Database) -> None:
    ended: list[str] = []

    async def run(_: Claim) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    workers = Workers(db, run, drain=0.05)
    await workers.start()
    workers.give(CLAIM)
    await asyncio.sleep(0)
    await workers.stop()
    assert ended == ["cancelled"]
