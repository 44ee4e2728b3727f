"""Alerts of the whole system, on the real Prometheus and Alertmanager."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from stack.system import System as Stack
from tests.end_to_end.outside import Running
from tests.integration.notifier.mail import PostBox, smtp_server
from tests.ports import free_port

SECONDS = 100.0
CHANNEL = """
[[channel]]
kind = "email"
name = "mail"
host = "127.0.0.1"
port = {port}
security = "none"
sender = "weft@shop.example"
to = ["ops@shop.example"]
"""


async def until(ask: Callable[[], Awaitable[bool]], what: str) -> float:
    """Return after how many seconds it was so."""
    began = time.monotonic()
    while time.monotonic() - began < SECONDS:
        if await ask():
            return time.monotonic() - began
        await asyncio.sleep(0.2)
    raise AssertionError(f"not within {SECONDS:g} s: {what}")


def pid(system: Running, name: str) -> int:
    entries = json.loads(system.weft("status", "--json").stdout)
    return next(int(one["pid"]) for one in entries if one["name"] == name)


def replaced(path: Path, text: str) -> str:
    """Write a file anew; return what was in it."""
    before = path.read_text()
    path.write_text(text)
    return before


class Prometheus:
    """What Prometheus says of alerts."""

    def __init__(self, system: Running, http: aiohttp.ClientSession) -> None:
        self._url = system.url("prometheus")
        self._http = http

    async def query(self, expression: str) -> list[Any]:
        url = f"{self._url}/api/v1/query"
        async with self._http.get(url, params={"query": expression}) as answer:
            found: list[Any] = (await answer.json())["data"]["result"]
            return found

    async def fires(self, *names: str, instance: str = "") -> bool:
        """Whether one of the alerts fires, for the instance if one is named."""
        about = f', service_instance_id="{instance}"' if instance else ""
        wanted = f'ALERTS{{alertstate="firing", alertname=~"{"|".join(names)}"{about}}}'
        return bool(await self.query(wanted))


@pytest.fixture
async def prometheus(system: Running) -> AsyncIterator[Prometheus]:
    async with aiohttp.ClientSession() as http:
        yield Prometheus(system, http)


@pytest.fixture
async def mail(system: Running) -> AsyncIterator[PostBox]:
    """A mail server that the notifier knows; afterwards it has the channels of before."""
    path, port = Stack.load(system.environment).credentials.path("notifier-channels"), free_port()

    async def anew(text: str) -> str:
        before, old = replaced(path, text), pid(system, "notifier")
        os.kill(old, signal.SIGTERM)

        async def ready() -> bool:
            entries = json.loads(system.weft("status", "--json").stdout)
            one = next(one for one in entries if one["name"] == "notifier")
            return one["pid"] not in (0, old) and one["state"] == "ready"

        await until(ready, "the notifier is back")
        return before

    with smtp_server(port) as box:
        before = await anew(CHANNEL.format(port=port))
        yield box
        await anew(before)


@pytest.fixture
def frozen(system: Running) -> Iterator[Callable[[str], None]]:
    """Freezes the process of a part; all go on afterwards."""
    stopped: list[int] = []

    def freeze(name: str) -> None:
        stopped.append(pid(system, name))
        os.kill(stopped[-1], signal.SIGSTOP)

    yield freeze
    for each in stopped:
        os.kill(each, signal.SIGCONT)


def subjects(box: PostBox, word: str) -> list[str]:
    return [str(one["subject"]) for one in box.mails if word in str(one["subject"])]


@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_a_dead_and_a_hung_instance_are_known_and_a_silent_alertmanager_is_told_of_by_mail(
    system: Running,
    prometheus: Prometheus,
    mail: PostBox,
    frozen: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def started() -> bool:
        return bool(await prometheus.query("weft:started"))

    async def told() -> bool:
        return bool(subjects(mail, "FIRING] DeadMansSwitch"))

    async def heard() -> bool:
        silence = "weft_notifier_watchdog_silence_seconds"
        return bool(await prometheus.query(f"timestamp({silence}) - {silence} > {begun}"))

    begun = time.time()
    await until(started, "the system is no longer starting")
    await until(heard, "the new notifier hears the watchdog")
    card_provider, alertmanager = pid(system, "card_provider"), pid(system, "alertmanager")
    os.kill(alertmanager, signal.SIGSTOP)
    os.kill(card_provider, signal.SIGKILL)
    frozen("payments")
    dead = ("InstanceDown", "InstanceRestarted")
    try:
        times = await asyncio.gather(
            until(lambda: prometheus.fires(*dead, instance="card_provider-0"), "a dead instance"),
            until(lambda: prometheus.fires("InstanceDown", instance="payments-0"), "a hung one"),
            until(told, "the switch's mail"),
        )
    finally:
        os.kill(alertmanager, signal.SIGCONT)
    assert "(alertmanager): no alert would be heard of" in subjects(mail, "FIRING] Dead")[0]

    async def over() -> bool:
        return bool(subjects(mail, "RESOLVED] DeadMansSwitch"))

    back = await until(over, "the switch says that Alertmanager is back")
    with capsys.disabled():
        sys.stdout.write(
            "\nkill -9 known after {:.1f} s, SIGSTOP after {:.1f} s, Alertmanager's silence mailed"
            " after {:.1f} s, ".format(*times)
        )
        sys.stdout.write(f"its return after {back:.1f} s\n")
