"""What host_agent tells, beside what the kernel says in its own words."""

from pathlib import Path

import psutil
import pytest

from services.host_agent import readings
from services.host_agent.readings import Utilization

TICKS = 100.0


def proc(name: str) -> list[list[str]]:
    return [line.split() for line in Path("/proc", name).read_text("ascii").splitlines()]


def test_processors_have_the_seconds_that_the_kernel_counts() -> None:
    before = {row[0]: int(row[1]) / TICKS for row in proc("stat") if row[0].startswith("cpu")}
    told = readings.cpu_time()
    cpus = {dict(key)["cpu.logical_number"] for key in told}
    assert cpus == set(range(psutil.cpu_count()))
    for number in cpus:
        user = told[("cpu.logical_number", number), ("cpu.mode", "user")]
        assert before[f"cpu{number}"] <= user < before[f"cpu{number}"] + 60
    modes = {dict(key)["cpu.mode"] for key in told}
    assert {"user", "system", "idle", "interrupt"} <= modes


def test_the_shares_of_a_processor_are_all_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    user, idle = (
        (("cpu.logical_number", 0), ("cpu.mode", "user")),
        (("cpu.logical_number", 0), ("cpu.mode", "idle")),
    )
    looks = iter([{user: 10.0, idle: 90.0}, {user: 13.0, idle: 91.0}, {user: 12.0, idle: 92.0}])
    monkeypatch.setattr(readings, "cpu_time", lambda: next(looks))
    share = Utilization()
    assert share() == {user: 0.75, idle: 0.25}
    assert share() == {user: 0.0, idle: 1.0}, "a count that falls is not below nothing"


def test_memory_is_told_by_state() -> None:
    total = next(int(row[1]) * 1024 for row in proc("meminfo") if row[0] == "MemTotal:")
    told = {dict(key)["system.memory.state"]: value for key, value in readings.memory().items()}
    assert set(told) == {"used", "free", "buffers", "cached"}
    assert 0 < told["used"] < total
    assert all(0 <= share <= 1 for share in readings.memory_shares().values())


def test_what_is_of_a_device_is_told_with_its_name() -> None:
    loopback = ("network.interface.name", "lo")
    received = readings.network_bytes()[loopback, ("network.io.direction", "receive")]
    assert received >= 0
    for where, share in readings.filesystem_shares().items():
        assert {name for name, _ in where} == {
            "system.device",
            "system.filesystem.mountpoint",
            "system.filesystem.type",
        }
        assert 0 <= share <= 1
    assert readings.uptime() > 0


def test_no_more_devices_are_told_of_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    one = next(iter(psutil.net_io_counters(pernic=True).values()))
    many = {f"veth{number:04}": one for number in range(1000)}
    monkeypatch.setattr(psutil, "net_io_counters", lambda **_: many)
    names = {dict(key)["network.interface.name"] for key in readings.network_bytes()}
    assert names == {f"veth{number:04}" for number in range(readings.MOST_DEVICES)}
