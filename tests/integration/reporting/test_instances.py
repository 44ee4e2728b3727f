"""Two instances of reports behind one gateway: requests and sockets go to both; one is killed."""

import asyncio
import signal
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.integration.channel.kit import Browser
from tests.integration.reporting.kit import Shop, User
from tests.integration.shop.kit import Running, until

RESTART = 1012
"""The gateway's close code where the instance behind has gone without a word."""


@pytest.fixture(scope="module")
async def instances(shop: Shop) -> list[Running]:
    return list(await asyncio.gather(shop.reports(), shop.reports(WEFT_INSTANCE="1")))


@pytest.fixture(scope="module")
async def gateway(shop: Shop, instances: list[Running]) -> Running:
    return await shop.gateway(*instances)


@pytest.fixture
async def user(shop: Shop, gateway: Running) -> User:
    return shop.user(gateway)


@pytest.fixture
async def browsers(user: User) -> AsyncIterator[list[Browser]]:
    """Two that the same user has open."""
    async with aiohttp.ClientSession() as session:
        opened = [Browser(session, user.headers) for _ in range(2)]
        yield opened
        for each in opened:
            await each.close()


async def test_requests_go_to_both(instances: list[Running], user: User) -> None:
    before = [await _served(each) for each in instances]
    for _ in range(8):
        assert (await user.call("GET", "/v1/reports"))[0] == 200

    async def grown() -> list[int] | None:
        after = [await _served(each) for each in instances]
        grew = [now - was for now, was in zip(after, before, strict=True)]
        return grew if sum(grew) >= 8 else None

    assert await until(grown) == [4, 4]


async def test_a_users_sockets_on_two_instances_hear_the_same_and_a_killed_one_loses_nothing(
    instances: list[Running], gateway: Running, user: User, browsers: list[Browser]
) -> None:
    url = f"{gateway.url}/v1/updates"
    for each in browsers:
        await each.open(url)
    told = 2
    asked = [await user.ask() for _ in range(told)]
    await until(lambda: _all(browsers, told))
    await instances[1].end(signal.SIGKILL)
    # Each was on an instance of its own: one is cut, and its page would open it again.
    ended = await until(lambda: _cut(browsers))
    assert sorted(map(str, (each.code for each in browsers))) == [str(RESTART), "None"]
    # Whatever is asked goes to the instance that is there: no request is lost meanwhile.
    for _ in range(4):
        asked.append(await user.ask())
        assert (await user.see(asked[-1]))["status"] == "queued"
    for report_id in asked:
        assert (await user.call("DELETE", f"/v1/reports/{report_id}"))[0] == 200
    await ended.open(url)
    told = 2 * len(asked)
    await until(lambda: _all(browsers, told))
    for each in browsers:
        assert each.seqs == list(range(1, told + 1))
        assert each.heard == browsers[0].heard
    assert sorted(one["id"] for one in ended.heard) == sorted(asked * 2)
    await instances[1].start()
    await instances[1].ready()


async def test_a_report_is_finished_while_an_instance_is_dead(
    shop: Shop, instances: list[Running], user: User
) -> None:
    runner = await shop.runner(*instances)
    await instances[0].end(signal.SIGKILL)
    report_id = await user.ask()
    assert (await user.ended(report_id))["status"] == "finished"
    status, body, _ = await user.call("GET", f"/v1/reports/{report_id}/download")
    assert (status, body.count(b"\n")) == (200, 77)
    await runner.end(signal.SIGTERM)
    await instances[0].start()
    await instances[0].ready()


async def _all(browsers: list[Browser], told: int) -> bool:
    return all(each.last == told for each in browsers)


async def _cut(browsers: list[Browser]) -> Browser | None:
    return next((each for each in browsers if each.code is not None), None)


async def _served(instance: Running) -> int:
    """How many lists of reports it has answered, by its own count."""
    return sum('"/v1/reports"' in line for line in instance.output.splitlines())
