"""The cache on a real Valkey or Redis: one read for many, nothing old, its server killed."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.integration.shop.kit import until
from tests.ports import free_port
from weft.cache import Cache
from weft.settings import Secret

SECONDS = 10.0
PATIENCE = 10.0
"""Seconds: a busy machine is no Valkey that is away."""


@dataclass
class Source:
    """What is cached: a value that can change, and reads that can be held up."""

    value: bytes | None = b"old"
    reads: int = 0
    began: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> bytes | None:
        self.reads += 1
        return self.value

    async def read_slowly(self) -> bytes | None:
        value = await self.read()
        self.began.set()
        await self.go_on.wait()
        return value


Caches = Callable[..., Cache]


@pytest.fixture
async def cache_on(redis_url: str) -> AsyncIterator[Caches]:
    """Make caches as two instances of a service have them: of one name, unless told otherwise."""
    made: list[Cache] = []
    test = uuid4().hex

    def make(url: str | None = redis_url, *, seconds: float = SECONDS) -> Cache:
        secret = None if url is None else Secret(url)
        made.append(Cache(secret, name=test, seconds=seconds, timeout=PATIENCE))
        return made[-1]

    yield make
    for cache in made:
        await cache.stop()


@pytest.fixture
def source() -> Source:
    return Source()


async def test_what_was_read_once_is_read_no_more_by_any_instance(
    cache_on: Caches, source: Source
) -> None:
    for cache in (cache_on(), cache_on()):
        assert await cache.get("a", source.read) == b"old"
        assert await cache.get("a", source.read) == b"old"
    assert source.reads == 1


async def test_of_many_who_miss_at_once_one_reads_for_all(cache_on: Caches, source: Source) -> None:
    cache = cache_on()
    waiting = [asyncio.create_task(cache.get("a", source.read_slowly)) for _ in range(200)]
    await source.began.wait()
    source.go_on.set()
    assert set(await asyncio.gather(*waiting)) == {b"old"}
    assert source.reads == 1


async def test_what_was_forgotten_is_read_anew(cache_on: Caches, source: Source) -> None:
    here, there = cache_on(), cache_on()
    for cache in (here, there):
        await cache.get("a", source.read)
    source.value = b"new"
    await here.forget("a", "never heard of")
    for cache in (here, there):
        assert await cache.get("a", source.read) == b"new"
    assert source.reads == 2


@pytest.mark.parametrize("forgetting", ["the same", "another"])
async def test_what_was_read_before_a_change_is_not_kept_after_it(
    cache_on: Caches, source: Source, forgetting: str
) -> None:
    reading, other = cache_on(), cache_on()
    early = asyncio.create_task(reading.get("a", source.read_slowly))
    await source.began.wait()
    source.value = b"new"
    await (reading if forgetting == "the same" else other).forget("a")
    source.go_on.set()
    assert await early == b"old"
    for cache in (reading, other):
        assert await cache.get("a", source.read) == b"new"


async def test_whoever_asks_after_a_change_does_not_join_a_read_from_before_it(
    cache_on: Caches, source: Source
) -> None:
    reading, other = cache_on(), cache_on()
    early = asyncio.create_task(reading.get("a", source.read_slowly))
    await source.began.wait()
    source.value = b"new"
    await other.forget("a")
    assert await reading.get("a", source.read) == b"new"
    source.go_on.set()
    assert await early == b"old"
    assert await other.get("a", source.read) == b"new"


async def test_changes_and_reads_at_once_never_leave_an_old_entry(
    cache_on: Caches,
) -> None:
    caches = [cache_on(), cache_on()]
    number = 0

    async def read() -> bytes:
        value = number
        await asyncio.sleep(0)
        return b"%d" % value

    async def write() -> None:
        nonlocal number
        for _ in range(50):
            number += 1
            await caches[number % 2].forget("a")
            seen = await asyncio.gather(*(cache.get("a", read) for cache in caches))
            assert set(seen) == {b"%d" % number}

    async def others() -> None:
        for turn in range(300):
            await caches[turn % 2].get("a", read)

    await asyncio.gather(write(), others(), others())


async def test_entries_expire_not_all_at_once_and_never_late(
    cache_on: Caches, source: Source, redis_url: str
) -> None:
    cache = cache_on()
    for number in range(30):
        await cache.get(f"k{number}", source.read)
    redis = Redis.from_url(redis_url)
    names = [f"weft:cache:{cache.name.partition(' ')[0]}:k{number}" for number in range(30)]
    left = [await redis.pttl(name) for name in names]
    await redis.aclose()
    assert all(0 < each <= SECONDS * 1000 for each in left)
    assert max(left) - min(left) > SECONDS * 20


async def test_nothing_is_read_again_and_not_kept(cache_on: Caches, source: Source) -> None:
    cache = cache_on()
    source.value = None
    assert await cache.get("a", source.read) is None
    source.value = b"made"
    assert await cache.get("a", source.read) == b"made"


async def test_a_source_that_fails_fails_all_who_wait_and_the_next_read_tries_again(
    cache_on: Caches, source: Source
) -> None:
    cache = cache_on()

    async def fail() -> bytes:
        await source.read_slowly()
        raise OSError

    waiting = [asyncio.create_task(cache.get("a", fail)) for _ in range(5)]
    await source.began.wait()
    source.go_on.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [OSError] * 5
    assert source.reads == 1
    assert await cache.get("a", source.read) == b"old"


async def test_one_who_gives_up_does_not_spoil_it_for_the_others(
    cache_on: Caches, source: Source
) -> None:
    cache = cache_on()
    first = asyncio.create_task(cache.get("a", source.read_slowly))
    await source.began.wait()
    second = asyncio.create_task(cache.get("a", source.read_slowly))
    first.cancel()
    source.go_on.set()
    assert await second == b"old"


async def test_without_an_address_everything_is_read_from_the_source(
    cache_on: Caches, source: Source
) -> None:
    cache = cache_on(None)
    for _ in range(3):
        assert await cache.get("a", source.read) == b"old"
    await cache.forget("a")
    assert source.reads == 3


async def test_every_read_is_counted_by_how_it_ended(
    cache_on: Caches, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes: list[str] = []

    class Counter:
        def add(self, _: int, labels: dict[str, str]) -> None:
            outcomes.append(labels["weft.cache.outcome"])

    monkeypatch.setattr("weft.cache._reads", Counter())
    cache = cache_on()
    waiting = [asyncio.create_task(cache.get("a", source.read_slowly)) for _ in range(3)]
    await source.began.wait()
    source.go_on.set()
    await asyncio.gather(*waiting)
    await cache.get("a", source.read)
    await cache_on(None).get("a", source.read)
    assert outcomes == ["miss", "joined", "joined", "hit", "away"]


class Server:
    """A Valkey or Redis of one's own."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        program = shutil.which("valkey-server") or shutil.which("redis-server")
        assert program is not None
        options = ("--bind", "127.0.0.1", "--save", "", "--port", str(self._port))
        quiet = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(program, *options, stdout=quiet)
        redis = Redis.from_url(self.url)

        async def answers() -> bool:
            try:
                return bool(await redis.ping())
            except RedisError:
                return False

        await until(answers)
        await redis.aclose()

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    own = Server()
    await own.start()
    yield own
    await own.kill()


async def test_while_the_server_is_killed_all_is_read_from_the_source_and_cached_again_after(
    cache_on: Caches, source: Source, server: Server
) -> None:
    cache = cache_on(server.url, seconds=1.0)
    await cache.get("a", source.read)
    await server.kill()
    source.value = b"new"
    await cache.forget("a")
    for _ in range(3):
        assert await cache.get("a", source.read) == b"new"
    assert source.reads == 4
    await server.start()
    source.value = b"newer"

    async def cached() -> bool:
        before = source.reads
        await cache.get("a", source.read)
        return source.reads == before

    assert await cache.get("a", source.read) == b"newer"
    await until(cached)
    assert await cache.get("a", source.read) == b"newer"


async def test_what_could_not_be_forgotten_is_not_shown(
    cache_on: Caches, source: Source, server: Server
) -> None:
    cache = cache_on(server.url)
    await cache.get("a", source.read)
    server.send(signal.SIGSTOP)
    source.value = b"new"
    await cache.forget("a")
    server.send(signal.SIGCONT)
    redis = Redis.from_url(server.url)
    await redis.set(f"weft:cache:{cache.name.partition(' ')[0]}:a", b"old")
    await redis.aclose()
    assert await cache.get("a", source.read) == b"new"
