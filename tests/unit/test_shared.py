"""What workers of a test run share, with a `weft` of the test's own that writes down its calls."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import running, shared
from tests.shared import Run

WORKERS = 4
DEADLINE = 60.0
PROGRAM = """#!/bin/sh
echo "$1" >> "$CALLS"
case "$1" in
up) mkdir "$WEFT_HOME" ;;
env) echo '{"WEFT_REDIS_URL": "redis://x"}' ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "weft"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setattr(running, "WEFT", program)
    monkeypatch.setattr(shared, "WEFT", program)
    return tmp_path / "calls"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def workers() -> Iterator[ThreadPoolExecutor]:
    """Threads will do: a lock on a file is held by who opened it, in whichever process."""
    with ThreadPoolExecutor(WORKERS) as pool:
        yield pool


def test_of_many_that_ask_one_starts_the_system_and_all_get_it(
    calls: Path, folder: Path, workers: ThreadPoolExecutor
) -> None:
    systems = list(workers.map(lambda _: Run(folder).system(), range(WORKERS)))
    assert calls.read_text().split() == ["up", "env"]
    assert [each.variables for each in systems] == [{"WEFT_REDIS_URL": "redis://x"}] * WORKERS
    assert len({each.environment["WEFT_PORT_BASE"] for each in systems}) == 1
    Run(folder).end()
    assert calls.read_text().split() == ["up", "env", "down"]
    assert not folder.exists()


def test_a_run_that_needed_no_system_stops_none(calls: Path, folder: Path) -> None:
    Run(folder).end()
    assert not calls.exists()
    assert not folder.exists()


def test_who_is_alone_has_the_system_while_nobody_else_uses_it(
    folder: Path, workers: ThreadPoolExecutor
) -> None:
    meet = threading.Barrier(WORKERS)
    inside: list[bool] = []
    seen: list[list[bool]] = []

    def use(alone: bool) -> None:
        with Run(folder).turn(alone=alone):
            inside.append(alone)
            seen.append(inside.copy())
            if not alone:
                meet.wait(DEADLINE)  # those who share it are in it at the same time
            inside.remove(alone)

    list(workers.map(use, [False] * WORKERS + [True] * WORKERS))
    assert [each for each in seen if True in each] == [[True]] * WORKERS
    assert max(map(len, seen)) == WORKERS


def test_workers_look_for_ports_at_bases_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    found = []
    for worker in ("gw0", "gw1"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        found.append(running.free_port_base() // 500 % 2)
    assert found == [0, 1]
