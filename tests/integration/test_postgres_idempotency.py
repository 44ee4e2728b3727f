"""Idempotency-Key: one effect, one answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from weft.postgres.database import Database
from weft.postgres.errors import KeyInProgress, KeyReused
from weft.postgres.idempotency import IdempotencyKeys, KeyedRequest, StoredAnswer
from weft.postgres.maintenance import Maintenance
from weft.postgres.transaction import Transaction

UNTIL_ENDED = 4.0
"""Less than the server lets a transaction wait for its client."""


def request(body: bytes = b"{}", **other: str) -> KeyedRequest:
    scope = {"subject": "ann", "method": "POST", "path": "/v1/orders", "key": "k-1"} | other
    return KeyedRequest.of(**scope, body=body)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.start()
    await database.execute("CREATE TABLE effects (n int)")
    yield database
    await database.stop()


@pytest.fixture
def keys(db: Database) -> IdempotencyKeys:
    return IdempotencyKeys(db)


async def work(tx: Transaction) -> StoredAnswer:
    await tx.execute("INSERT INTO effects VALUES (1)")
    return StoredAnswer(202, b'{"order_id":"1"}')


async def test_the_same_key_again_gives_the_same_answer_without_effect(
    db: Database, keys: IdempotencyKeys
) -> None:
    first = await keys.answer(request(), work)
    second = await keys.answer(request(), work)
    assert (first.status, first.body, first.replayed) == (202, b'{"order_id":"1"}', False)
    assert (second.status, second.body, second.replayed) == (202, b'{"order_id":"1"}', True)
    assert await db.fetchval("SELECT count(*) FROM effects") == 1


async def test_another_body_with_the_same_key_is_refused(keys: IdempotencyKeys) -> None:
    await keys.answer(request(), work)
    with pytest.raises(KeyReused):
        await keys.answer(request(b'{"a":1}'), work)


@pytest.mark.parametrize(
    "other",
    [
        request(subject="bob"),
        request(method="PUT"),
        request(path="/v1/reports"),
        request(key="k-2"),
    ],
)
async def test_keys_of_other_scopes_do_not_meet(
    db: Database, keys: IdempotencyKeys, other: KeyedRequest
) -> None:
    await keys.answer(request(), work)
    assert not (await keys.answer(other, work)).replayed
    assert await db.fetchval("SELECT count(*) FROM effects") == 2


async def test_a_key_in_progress_is_refused_at_once(keys: IdempotencyKeys) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(tx: Transaction) -> StoredAnswer:
        inside.set()
        await go_on.wait()
        return await work(tx)

    first = asyncio.create_task(keys.answer(request(), slow))
    await inside.wait()
    with pytest.raises(KeyInProgress):
        await asyncio.wait_for(keys.answer(request(), work), UNTIL_ENDED)
    go_on.set()
    assert not (await first).replayed
    assert (await keys.answer(request(), work)).replayed


async def test_many_at_the_same_time_have_one_effect(db: Database, keys: IdempotencyKeys) -> None:
    results = await asyncio.gather(
        *(keys.answer(request(), work) for _ in range(20)), return_exceptions=True
    )
    assert all(isinstance(result, StoredAnswer | KeyInProgress) for result in results)
    assert await db.fetchval("SELECT count(*) FROM effects") == 1


async def test_a_failure_stores_nothing_so_that_the_key_can_be_tried_again(
    db: Database, keys: IdempotencyKeys
) -> None:
    async def fail(tx: Transaction) -> StoredAnswer:
        await work(tx)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await keys.answer(request(), fail)
    assert await db.fetchval("SELECT count(*) FROM effects") == 0
    assert not (await keys.answer(request(), work)).replayed


async def test_after_24_hours_a_key_is_free_and_its_row_is_deleted(
    db: Database, keys: IdempotencyKeys
) -> None:
    await keys.answer(request(), work)
    await keys.answer(request(key="k-2"), work)
    await db.execute("UPDATE weft.idempotency_keys SET created_at = now() - interval '25 hours'")
    assert not (await keys.answer(request(b"new"), work)).replayed
    await Maintenance(db).run()
    rows = await db.fetch("SELECT key FROM weft.idempotency_keys")
    assert [row["key"] for row in rows] == ["k-1"]
