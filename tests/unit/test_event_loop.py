"""The event loop tells how late it is, what held it up, and how many tasks it has."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from weft import event_loop
from weft.event_loop import PERIOD, SLOW, EventLoop


class Slow:
    """A counter."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, amount: int) -> None:
        self.count += amount


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The instruments by name: how each gauge is read, and the counter."""
    made: dict[str, Any] = {}

    def gauge(name: str, _unit: str, _text: str, read: Callable[[], float]) -> None:
        made[name] = read

    def counter(name: str, *_: str) -> Slow:
        return made.setdefault(name, Slow())

    monkeypatch.setattr(event_loop, "gauge", gauge)
    monkeypatch.setattr(event_loop, "counter", counter)
    return made


async def test_what_holds_the_loop_up_is_counted_once_with_its_delay(read: dict[str, Any]) -> None:
    watched = EventLoop()
    await watched.start()
    await watched.check()
    time.sleep(PERIOD + SLOW + 0.05)  # noqa: ASYNC251 - what must not be done is what is seen
    async with asyncio.timeout(20):
        while not read["weft.event_loop.slow_callbacks"].count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
    assert read["weft.event_loop.slow_callbacks"].count == 1
    assert read["weft.event_loop.lag"]() >= SLOW
    assert read["weft.event_loop.lag"]() == 0.0
    await watched.stop()
    with pytest.raises(RuntimeError):
        await watched.check()


async def test_tasks_that_have_not_ended_are_counted(
    read: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_loop, "_TASKS_EVERY", 1)
    monkeypatch.setattr(event_loop, "PERIOD", 0.01)
    waiting = [asyncio.create_task(asyncio.Event().wait()) for _ in range(100)]
    watched = EventLoop()
    await watched.start()
    tasks = read["weft.event_loop.tasks"]
    async with asyncio.timeout(20):
        while tasks() < 100:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        while tasks() >= 100:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await watched.stop()
