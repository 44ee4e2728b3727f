"""The life of a system of its own: started, hurt, stopped, moved out of the way."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from stack import processes
from stack.home import Home
from stack.ports import Ports
from tests.running import free_port_base

ROOT = Path(__file__).resolve().parents[2]
WEFT = Path(sys.executable).with_name("weft")
START = 300.0
pytestmark = pytest.mark.timeout(2 * START)


class Own:
    """A system that these tests may break."""

    def __init__(self, home: Path, base: int) -> None:
        self.home = Home(home)
        self.ports = Ports(base)
        outer = {name: value for name, value in os.environ.items() if not name.startswith("WEFT_")}
        kept = {"WEFT_PARTS_DIR": os.environ.get("WEFT_PARTS_DIR", "")}
        self.environment = {
            **outer,
            **{name: value for name, value in kept.items() if value},
            "WEFT_HOME": str(home),
            "WEFT_PORT_BASE": str(base),
            "WEFT_TRAFFIC": "0",
        }

    def weft(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [WEFT, *arguments],
            env=self.environment | settings,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=START,
            check=False,
        )

    def status(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in json.loads(self.weft("status", "--json").stdout)}

    def runs(self) -> list[str]:
        return [one.program or one.process.name() for one in processes.marked(self.home)]


@pytest.fixture(scope="module")
def own() -> Iterator[Own]:
    home = Path(tempfile.mkdtemp(prefix="weft-life-"))
    home.chmod(0o711)
    system = Own(home, free_port_base())
    try:
        yield system
    finally:
        system.weft("down")
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def started(own: Own) -> Own:
    done = own.weft("up")
    assert done.returncode == 0, done.stdout + done.stderr
    return own


def test_before_the_first_start_everything_is_stopped(own: Own) -> None:
    assert {one["state"] for one in own.status().values()} == {"stopped"}
    assert own.weft("status", "--wait", "0.1").returncode == 1
    assert own.weft("logs").returncode == 1
    done = own.weft("env")
    assert done.returncode == 1
    assert done.stderr.strip() == "this system was never started: run `weft up` first"


def test_a_port_that_is_taken_is_named_before_anything_starts(own: Own) -> None:
    with socket.create_server(("127.0.0.1", own.ports.of("orders"))):
        done = own.weft("up")
    assert done.returncode == 1
    assert f"port {own.ports.of('orders')} (orders) is taken by" in done.stderr
    assert f"(pid {os.getpid()})" in done.stderr
    assert re.search(r"WEFT_PORT_BASE=\d+", done.stderr)
    assert own.runs() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("WEFT_PORT_BASE", "99999"), ("WEFT_HOME", "/srv/with blank"), ("WEFT_TRAFFIC", "maybe")],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(own: Own, name: str, value: str) -> None:
    done = own.weft("up", **{name: value})
    assert done.returncode == 2
    assert done.stderr.startswith(name)
    assert done.stderr.count("\n") == 1


def test_a_service_that_cannot_start_is_named_and_nothing_is_left(own: Own) -> None:
    done = own.weft("up", WEFT_ORDER_DEADLINE="never")
    assert done.returncode == 1
    assert "orders-0" in done.stderr
    assert "WEFT_ORDER_DEADLINE" in done.stderr
    assert own.runs() == []


def test_the_printed_command_places_an_order(own: Own) -> None:
    done = own.weft("up")
    assert done.returncode == 0, done.stderr
    [command] = [line for line in done.stdout.splitlines() if line.startswith("curl ")]
    said = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, timeout=30, check=True
    )
    assert json.loads(said.stdout)["status"] == "pending"


def test_the_whole_system_is_small_after_its_start(started: Own) -> None:
    last = started.weft("status", "--total").stdout.strip().splitlines()[-1]
    mebibytes = int(last.split()[-2])
    assert 200 < mebibytes < 1126, last


def test_everything_is_stopped_even_when_the_supervisor_was_killed(started: Own) -> None:
    [supervisor] = [one for one in processes.marked(started.home) if not _is_program(one)]
    supervisor.process.send_signal(signal.SIGKILL)
    supervisor.process.wait(10)
    known = started.status()
    assert known["postgres"]["state"] == "ready"
    assert known["rabbitmq"]["pid"] is not None
    assert any("epmd" in one.process.name() for one in processes.marked(started.home))
    done = started.weft("down")
    assert done.returncode == 0, done.stderr
    assert started.runs() == []
    assert {one["state"] for one in started.status().values()} == {"stopped"}


def _is_program(one: processes.Marked) -> bool:
    return bool(one.program)


def test_a_start_after_the_supervisor_was_killed_replaces_what_it_left(started: Own) -> None:
    before = started.status()["orders"]["pid"]
    [supervisor] = [one for one in processes.marked(started.home) if not _is_program(one)]
    supervisor.process.send_signal(signal.SIGKILL)
    supervisor.process.wait(10)
    done = started.weft("up")
    assert done.returncode == 0, done.stderr
    assert not psutil.pid_exists(before)
    assert {one["state"] for one in started.status().values()} == {"ready"}


def test_an_interrupted_start_leaves_nothing_running(own: Own) -> None:
    own.weft("down")
    with subprocess.Popen(
        [WEFT, "up"], env=own.environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as start:
        assert start.stdout is not None
        assert "is ready" in start.stdout.readline()
        start.send_signal(signal.SIGTERM)
        start.stdout.read()
        assert start.wait(60) == 1
    assert own.runs() == []


def test_two_starts_at_once_are_one_start_and_one_line(own: Own) -> None:
    with subprocess.Popen(
        [WEFT, "up"], env=own.environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert "is ready" in first.stdout.readline()
        second = own.weft("up")
        first.stdout.read()
        assert first.wait(START) == 0
    assert second.returncode == 1
    assert f"pid {first.pid}" in second.stderr


def test_orders_survive_a_restart_and_a_reset_forgets_them(started: Own) -> None:
    placed = started.weft("order", "--json")
    assert placed.returncode == 0, placed.stderr
    order = json.loads(placed.stdout)["order_id"]
    assert started.weft("down").returncode == 0
    began = time.monotonic()
    assert started.weft("up").returncode == 0
    assert time.monotonic() - began < START
    token = started.weft("token", "--subject", "demo", "--scope", "orders:read").stdout.strip()
    assert _order_status(started, order, token) == "confirmed"
    assert started.weft("reset", "--yes").returncode == 0
    assert started.runs() == []
    assert not started.home.exists()


def _order_status(own: Own, order: str, token: str) -> str:
    url = f"{own.ports.url('gateway')}/v1/orders/{order}"
    said = subprocess.run(
        ["curl", "-sS", url, "-H", f"Authorization: Bearer {token}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return str(json.loads(said.stdout)["status"])
