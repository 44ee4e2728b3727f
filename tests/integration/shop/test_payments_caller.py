"""Open calls of the provider: shared by instances, taken over from the dead, fair to the new."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from services.payments import store
from services.payments.caller import Caller
from services.payments.domain import State, Wish
from services.payments.messages import Book
from services.payments.provider import Answer
from services.payments.store import OpenCall, Payment
from tests.integration.shop.kit import until
from weft.errors import Unavailable
from weft.postgres import Database

SCHEMA = Path(store.__file__).with_name("schema")


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, schema=SCHEMA)
    await database.start()
    yield database
    await database.stop()


class Provider:
    """Answers as the token says: `tok_ok` at once, `tok_down` never, `tok_away` with a failure.

    `tok_async` is pending, and so is what is inquired after, which has no token any more.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.waiting = 0

    async def perform(self, call: OpenCall) -> Answer:
        self.calls[call.payment_id] += 1
        if call.token == "tok_away":
            raise Unavailable("card_provider", "answered 500")
        if call.token == "tok_down":
            self.waiting += 1
            try:
                await asyncio.sleep(3600)
            finally:
                self.waiting -= 1
        return Answer(outcome=None if call.token in ("tok_async", None) else State.AUTHORIZED)


@asynccontextmanager
async def calling(
    db: Database,
    provider: Provider,
    *,
    instance: str = "payments-0",
    concurrency: int = 8,
    pending_budget: float = 3600.0,
) -> AsyncIterator[Caller]:
    caller = Caller(
        db,
        Book(db),
        provider,
        instance=instance,
        call_timeout=600,
        pending_pause=0.01,
        pending_budget=pending_budget,
        concurrency=concurrency,
    )
    await caller.start()
    try:
        yield caller
    finally:
        with_deadline = asyncio.wait_for(caller.stop(), 0.5)
        await asyncio.gather(with_deadline, return_exceptions=True)


async def request(db: Database, token: str = "tok_ok") -> str:  # noqa: S107 - a name
    payment = Payment(
        payment_id=str(uuid4()), order_id=str(uuid4()), amount_minor=250, currency="EUR"
    )
    async with db.transaction() as tx:
        await Book(db).wish(tx, Wish.AUTHORIZE, payment, token=token)
    return payment.payment_id


async def state(db: Database, payment_id: str) -> State | None:
    async with db.transaction() as tx:
        payment = await Book(db).find(tx, payment_id)
    return None if payment is None else payment.state


async def authorized(db: Database, *payments: str) -> bool:
    return all([await state(db, payment) is State.AUTHORIZED for payment in payments])


async def test_instances_share_the_calls_and_make_each_once(db: Database) -> None:
    provider = Provider()
    payments = [await request(db) for _ in range(60)]
    async with calling(db, provider), calling(db, provider, instance="payments-1"):
        await until(lambda: authorized(db, *payments))
    assert set(provider.calls.values()) == {1}
    assert await store.open_calls(db) == (0, 0.0)


async def test_a_call_is_made_as_soon_as_it_is_committed(db: Database) -> None:
    async with calling(db, Provider()):
        payment = await request(db)
        await until(lambda: authorized(db, payment))


async def test_a_new_process_takes_up_what_the_last_one_of_its_slot_left(db: Database) -> None:
    dead = Provider()
    payment = await request(db, "tok_down")
    async with calling(db, dead):
        await until(lambda: _waits(dead, 1))
    await db.execute("UPDATE provider_calls SET token = 'tok_ok'")
    async with calling(db, Provider()):
        await until(lambda: authorized(db, payment))


async def test_another_instance_takes_up_a_claim_only_when_it_has_lapsed(db: Database) -> None:
    provider, other = Provider(), Provider()
    payment = await request(db, "tok_down")
    async with calling(db, provider):
        await until(lambda: _waits(provider, 1))
        await db.execute("UPDATE provider_calls SET token = 'tok_ok'")
        async with calling(db, other, instance="payments-1"):
            later = await request(db)
            await until(lambda: authorized(db, later))
            assert not other.calls[payment]
            await db.execute("UPDATE provider_calls SET due_at = now()")
            await until(lambda: authorized(db, payment))


async def test_cards_that_never_answer_leave_room_for_new_payments(db: Database) -> None:
    provider = Provider()
    async with calling(db, provider):
        for _ in range(20):
            await request(db, "tok_down")
        await db.execute("UPDATE provider_calls SET attempts = attempts + 1")
    async with calling(db, provider):
        await until(lambda: _waits(provider, 4))
        payments = [await request(db) for _ in range(20)]
        await until(lambda: authorized(db, *payments))
        assert provider.waiting == 4


async def test_a_late_failure_does_not_disturb_the_call_that_took_its_place(db: Database) -> None:
    payment_id = await request(db, "tok_down")
    (late,) = await store.claim(db, instance="payments-0", limit=1, lease=60)
    async with db.transaction() as tx:
        payment = await Book(db).find(tx, payment_id)
        assert payment is not None
        await Book(db).wish(tx, Wish.VOID, payment)
    await store.postpone(db, late, due_in=3600)
    (call,) = await store.claim(db, instance="payments-0", limit=1, lease=60)
    assert (call.call, call.token, call.attempts) == ("void", None, 1)


async def test_a_failed_call_is_made_again(db: Database) -> None:
    provider = Provider()
    payment = await request(db, "tok_away")
    async with calling(db, provider):

        async def twice() -> bool:
            return provider.calls[payment] >= 2

        await until(twice)
        await db.execute("UPDATE provider_calls SET token = 'tok_ok'")
        await until(lambda: authorized(db, payment))


async def test_a_pending_payment_is_asked_for_within_a_budget_and_can_be_voided_after_it(
    db: Database,
) -> None:
    provider = Provider()
    payment = await request(db, "tok_async")
    async with calling(db, provider):

        async def left_alone() -> bool:
            return bool(
                await db.fetchval(
                    "SELECT due_at = 'infinity' AND call = 'inquire' AND token IS NULL"
                    " FROM provider_calls WHERE payment_id = $1",
                    payment,
                )
            )

        async def asked_for() -> bool:
            return provider.calls[payment] >= 2

        await until(asked_for)
        await db.execute("UPDATE provider_calls SET opened_at = now() - interval '2 hours'")
        await until(left_alone)
        asked = provider.calls[payment]
        later = await request(db)
        await until(lambda: authorized(db, later))
        assert provider.calls[payment] == asked
        async with db.transaction() as tx:
            known = await Book(db).find(tx, payment)
            assert known is not None
            await Book(db).wish(tx, Wish.VOID, known)

        async def asked_again() -> bool:
            return provider.calls[payment] > asked

        await until(asked_again)


async def _waits(provider: Provider, calls: int) -> bool:
    return provider.waiting >= calls
