import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from functools import partial

import pytest

from services.gateway.limiter import Limiter
from weft.settings import Secret
from weft.valkey import Valkey


@pytest.fixture
async def limiters(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Limiter]]:
    """Two gateways' limiters over one Redis: 20 requests a second, 40 at once.

    A busy machine is no Redis that is away.
    """
    monkeypatch.setattr("services.gateway.limiter.Valkey", partial(Valkey, timeout=30.0))
    made = [Limiter(Secret(redis_url), rate=20.0, burst=40) for _ in range(2)]
    yield made
    for limiter in made:
        await limiter.stop()


async def passed(limiter: Limiter, subject: str, requests: int) -> int:
    waits = [await limiter.take(subject) for _ in range(requests)]
    return sum(wait == 0.0 for wait in waits)


async def test_two_gateways_share_one_subjects_bucket(limiters: list[Limiter]) -> None:
    subject, began = uuid.uuid4().hex, time.monotonic()
    counts = await asyncio.gather(*(passed(limiter, subject, 100) for limiter in limiters))
    allowed = 40 + 20 * (time.monotonic() - began)
    assert 38 <= sum(counts) <= allowed + 1


async def test_subjects_do_not_share_a_bucket(limiters: list[Limiter]) -> None:
    assert await passed(limiters[0], uuid.uuid4().hex, 40) == 40
    assert await passed(limiters[0], uuid.uuid4().hex, 40) == 40


async def test_a_refused_caller_may_come_again_after_the_time_that_was_told(
    limiters: list[Limiter],
) -> None:
    subject = uuid.uuid4().hex
    deadline = time.monotonic() + 60.0
    while not (wait := await limiters[0].take(subject)):
        assert time.monotonic() < deadline
    assert 0.0 < wait <= 0.1
    while await limiters[0].take(subject):
        assert time.monotonic() < deadline
        await asyncio.sleep(wait)


async def test_without_redis_each_gateway_keeps_to_the_limit_by_itself() -> None:
    limiter = Limiter(Secret("redis://127.0.0.1:1/0"), rate=20.0, burst=40)
    began = time.monotonic()
    count = await passed(limiter, "alice", 200)
    assert 40 <= count <= 41 + 20 * (time.monotonic() - began)
    await limiter.stop()
