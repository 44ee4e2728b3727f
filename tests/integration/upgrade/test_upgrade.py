"""Two versions of a service at once, under load: nothing is lost, nothing has two effects."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.messaging.kit import Rabbit, until
from tests.integration.upgrade import after, before
from tests.ports import free_port
from weft.messaging import Broker, Command, Outgoing, Publisher, ServiceTopology, outgoing
from weft.postgres import Database

HERE = Path(__file__).parent
ACCOUNTS = ("ann", "bob", "cat", "dan", "eve", "fay")
IN_HAND = 16
"""Credits that were sent and not heard of yet: the load follows what the machine can do."""
MOST = 1_500
"""Credits at most while both run; a busy machine needs some for the two to meet."""
SECONDS = 90.0
QUEUES = ("tally.commands", "tally.events")

Sent = list[tuple[str, int]]


class Version:
    """A process that runs one version of the service."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.log = log
        self._port = port

    async def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self._port}/readyz") as answer,
            ):
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def drain(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 60)


Start = Callable[[str], Version]


@pytest.fixture
def start(tmp_path: Path, database_url: str, broker_url: str) -> Iterator[Start]:
    """Start before.py or after.py; what still runs at the end is killed."""
    running: list[Version] = []

    def one(name: str) -> Version:
        port = free_port()
        log = tmp_path / f"{name}.log"
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("WEFT_")},
            "WEFT_PORT": str(port),
            "WEFT_INSTANCE": str(len(running)),
            "WEFT_DATABASE_URL": database_url,
            "WEFT_BROKER_URL": broker_url,
            "OTEL_SDK_DISABLED": "true",
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, HERE / f"{name}.py"], env=environment, stdout=output, stderr=output
            )
        running.append(Version(process, port, log))
        return running[-1]

    yield one
    for version in running:
        version.process.kill()
        version.process.wait()


@pytest.fixture
async def publish(broker_url: str) -> AsyncIterator[Callable[[Outgoing], Awaitable[None]]]:
    broker = Broker(broker_url, ServiceTopology(service="till"))
    await broker.start()
    yield Publisher(broker).publish
    await broker.stop()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, name="the test's eyes")
    await database.start()
    yield database
    await database.stop()


def credits_to_send() -> Iterator[Command]:
    """From old and new tills, one after the other."""
    for number in itertools.count():
        account, euros = ACCOUNTS[number % len(ACCOUNTS)], number % 7 + 1
        if number % 2:
            yield before.Credit(account=account, euros=euros)
        else:
            yield after.Credit(account=account, euros=euros, note="from a new till")


@pytest.mark.timeout(300)  # four starts and ends of a process on a machine that may be busy
async def test_both_versions_work_together_and_nothing_is_lost(
    start: Start,
    publish: Callable[[Outgoing], Awaitable[None]],
    db: Database,
    broker_url: str,
    management_url: str,
) -> None:
    sent: Sent = []
    load = credits_to_send()

    async def send(command: Any) -> None:
        message = outgoing(command, correlation_id=command.account, carrier={})
        sent.append((command.account, command.euros))
        for _ in range(2 if len(sent) % 5 == 0 else 1):  # some are delivered twice
            await publish(message)

    old = start("before")
    await until(old.ready, SECONDS)
    for _ in range(20):
        await send(next(load))
    new = start("after")
    while not await _have_met(db):
        assert len(sent) < MOST, "the two versions did not meet"
        assert new.process.poll() is None, new.log.read_text()
        if len(sent) - await db.fetchval("SELECT count(*) FROM heard") < IN_HAND:
            await send(next(load))
        else:
            await asyncio.sleep(0.01)
    await until(new.ready, SECONDS)
    for account in ACCOUNTS:
        await send(after.Bonus(account=account, euros=3))
    assert await old.drain() == 0, old.log.read_text()
    for _ in range(20):
        await send(next(load))

    async def all_done() -> bool:
        rows = await db.fetchrow(
            "SELECT (SELECT count(*) FROM weft.events) AS events, (SELECT count(*) FROM heard)"
            " AS heard, (SELECT count(*) FROM postings) AS posted,"
            " (SELECT count(*) FROM weft.outbox) AS waiting"
        )
        return rows is not None and tuple(rows) == (len(sent), len(sent), len(sent), 0)

    await until(all_done, SECONDS)
    await _account_for(db, sent)
    rabbit = Rabbit(broker_url, management_url)

    async def none_waits() -> bool:  # the last may have come twice
        return sum([await rabbit.ready(queue) for queue in QUEUES]) == 0

    await until(none_waits, SECONDS)
    dead = {queue: await rabbit.ready(f"{queue}.dead") for queue in QUEUES}
    await rabbit.close()
    assert dead == dict.fromkeys(QUEUES, 0)
    assert await new.drain() == 0, new.log.read_text()


async def _have_met(db: Database) -> bool:
    """Whether each version has heard both, and the old one has built on an event of the new one."""
    heard = await db.fetch("SELECT DISTINCT said_in, by FROM heard")
    built_on = await db.fetchval(
        "SELECT EXISTS (SELECT 1 FROM weft.events new JOIN weft.events old USING (stream)"
        " WHERE new.schema_version = 2 AND old.schema_version = 1 AND old.version > new.version)"
    )
    return len(heard) == 4 and bool(built_on)


async def _account_for(db: Database, sent: Sent) -> None:
    expected = {
        account: sum(euros for whose, euros in sent if whose == account) for account in ACCOUNTS
    }
    balances = await db.fetch("SELECT account, euros, note FROM balances")
    assert {row["account"]: row["euros"] for row in balances} == expected
    assert all(row["note"] for row in balances)
    posted = await db.fetch("SELECT account, sum(euros) AS euros FROM postings GROUP BY account")
    assert {row["account"]: row["euros"] for row in posted} == expected
    assert {row[0] for row in await db.fetch("SELECT schema_version FROM weft.events")} == {1, 2}
