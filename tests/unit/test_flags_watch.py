"""A process follows the file of flags: at once, never by half, and not longer than it should."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from weft.flags import faults, watch
from weft.flags.watch import Flags

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class World:
    """The file, the time, and what was logged."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.now = NOW
        self.logged: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr(watch.log, "warning", self._log, raising=False)
        monkeypatch.setattr(watch.log, "event", self._event, raising=False)

    def _event(self, event: str, message: str, **facts: Any) -> None:
        assert event == "weft.change.flag"
        self._log(message, **facts)

    def _log(self, message: str, **facts: Any) -> None:
        self.logged.append((message, facts))

    def write(self, text: str) -> None:
        partial = self.path.with_suffix(".partial")
        partial.write_text(text)
        partial.replace(self.path)

    def set(self, **flags: Any) -> None:
        self.write(json.dumps({"flags": {n.replace("_", "-"): f for n, f in flags.items()}}))

    def fault(self, value: float = 80, service: str = "orders", minutes: float = 10) -> Any:
        until = (NOW + timedelta(minutes=minutes)).isoformat()
        return {"kind": "fault", "service": service, "value": value, "until": until}

    def messages(self) -> list[str]:
        return [message for message, _ in self.logged]


def feature(percent: float) -> dict[str, Any]:
    about = {"kind": "feature", "service": "orders", "owner": "shop", "since": "2026-01-01"}
    return {**about, "percent": percent}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(watch, "log", type("Log", (), {})())
    monkeypatch.setattr(faults, "EFFECTS", {})
    return World(tmp_path / "flags.json", monkeypatch)


Begin = Callable[..., Any]


@pytest.fixture
async def begin(world: World) -> AsyncIterator[Begin]:
    running: list[Flags] = []

    async def start(*, allow_faults: bool = True) -> Flags:
        flags = Flags("orders", world.path, allow_faults=allow_faults, now=lambda: world.now)
        running.append(flags)
        await flags.start()
        return flags

    yield start
    for flags in running:
        await flags.stop()
    api.clear_providers()


async def test_a_fault_is_on_while_the_file_says_so(world: World, begin: Begin) -> None:
    flags = await begin()
    assert faults.value("cpu-burn") is None
    world.set(cpu_burn=world.fault(80), memory_leak=world.fault(8, service="payments"))
    flags.look()
    assert faults.ACTIVE == {"cpu-burn": 80}
    world.set(cpu_burn=world.fault(40))
    flags.look()
    assert faults.ACTIVE == {"cpu-burn": 40}
    world.path.unlink()
    flags.look()
    assert faults.ACTIVE == {}
    told = [(f["weft.flag.on"], f["weft.flag.value"]) for _, f in world.logged]
    assert told == [(True, 80), (True, 40), (False, 40)]


async def test_a_change_is_seen_without_being_told(world: World, begin: Begin) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()

    faults.effect("poison-messages", work)
    await begin()
    world.set(poison_messages=world.fault())
    await asyncio.wait_for(begun.wait(), 20)


async def test_a_fault_ends_by_itself(world: World, begin: Begin) -> None:
    world.set(cpu_burn=world.fault(minutes=10))
    flags = await begin()
    assert faults.ACTIVE
    world.now += timedelta(minutes=10)
    flags.look()
    assert faults.ACTIVE == {}
    assert world.messages() == ["flag changed", "flag changed"]


async def test_a_wrong_file_keeps_the_last_good_flags_and_is_told_once(
    world: World, begin: Begin
) -> None:
    world.set(cpu_burn=world.fault())
    flags = await begin()
    world.write('{"flags": {"cpu-burn": ')
    for _ in range(5):
        flags.look()
    assert faults.ACTIVE == {"cpu-burn": 80}
    assert world.messages() == ["flag changed", "flags file is wrong, the last flags stay"]
    world.write("x" * 100_000)
    flags.look()
    assert faults.ACTIVE == {"cpu-burn": 80}
    world.set()
    flags.look()
    assert faults.ACTIVE == {}


async def test_a_file_that_cannot_be_read_keeps_the_last_good_flags(
    world: World, begin: Begin
) -> None:
    world.set(cpu_burn=world.fault())
    flags = await begin()
    world.path.unlink()
    world.path.mkdir()
    flags.look()
    assert faults.ACTIVE == {"cpu-burn": 80}
    assert world.messages()[-1] == "flags file is wrong, the last flags stay"


async def test_where_faults_are_not_allowed_none_is_ever_on(world: World, begin: Begin) -> None:
    world.set(cpu_burn=world.fault(), new=feature(100))
    await begin(allow_faults=False)
    assert faults.ACTIVE == {}
    client = api.get_client()
    assert client.get_boolean_value("new", default_value=False) is True
    assert client.get_boolean_value("cpu-burn", default_value=False) is False


async def test_an_effect_runs_while_its_fault_is_on(world: World, begin: Begin) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    faults.effect("poison-messages", work)
    flags = await begin()
    world.set(poison_messages=world.fault(1))
    flags.look()
    await asyncio.wait_for(begun.wait(), 20)
    assert not ended.is_set()
    world.set()
    flags.look()
    await asyncio.wait_for(ended.wait(), 20)


async def test_everything_is_off_after_the_end(world: World, begin: Begin) -> None:
    world.set(cpu_burn=world.fault())
    flags = await begin()
    await flags.stop()
    assert faults.ACTIVE == {}


async def test_openfeature_tells_the_same(world: World, begin: Begin) -> None:
    world.set(cpu_burn=world.fault(80), new=feature(20))
    await begin()
    client = api.get_client()
    assert client.get_boolean_value("cpu-burn", default_value=False) is True
    assert client.get_float_value("cpu-burn", default_value=0.0) == 80.0
    assert client.get_integer_value("cpu-burn", default_value=0) == 80
    of_alice = client.get_boolean_details(
        "new", default_value=False, evaluation_context=EvaluationContext("alice")
    )
    assert (of_alice.reason, of_alice.flag_metadata["owner"]) == ("SPLIT", "shop")
    nobody = client.get_boolean_details("new", default_value=False)
    assert (nobody.value, nobody.error_code) == (False, ErrorCode.TARGETING_KEY_MISSING)
    wrong = client.get_string_details("new", default_value="")
    assert wrong.error_code == ErrorCode.TYPE_MISMATCH
    unknown = client.get_boolean_details("other", default_value=True)
    assert (unknown.value, unknown.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)


async def test_openfeature_handlers_hear_what_changed(world: World, begin: Begin) -> None:
    flags = await begin()
    heard: asyncio.Queue[list[str]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def changed(details: Any) -> None:
        loop.call_soon_threadsafe(heard.put_nowait, details.flags_changed)

    api.add_handler(api.ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, changed)
    world.set(new=feature(20))
    flags.look()
    assert await asyncio.wait_for(heard.get(), 20) == ["new"]


def test_a_percentage_strikes_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(faults.ACTIVE, "payment-failures", 30.0)
    share = sum(faults.strikes("payment-failures") for _ in range(20_000)) / 20_000
    assert 0.27 < share < 0.33
    monkeypatch.setitem(faults.ACTIVE, "payment-failures", 100.0)
    assert all(faults.strikes("payment-failures") for _ in range(1000))
    monkeypatch.delitem(faults.ACTIVE, "payment-failures")
    assert not any(faults.strikes("payment-failures") for _ in range(1000))
