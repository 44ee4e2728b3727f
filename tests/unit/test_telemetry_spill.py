"""Telemetry that waits for the collector in files outlives its process, and has a bound."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from weft.telemetry.fast.outbox import Slice
from weft.telemetry.fast.spill import AT_ONCE, InMemory, Spill, Store

FIRST = Slice("traces", 2, b"first")
SECOND = Slice("logs", 3, b"second")


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return InMemory(12) if request.param == "memory" else Spill(tmp_path, "orders-0", 12)


def test_slices_come_back_oldest_first_and_stay_until_they_are_done_with(store: Store) -> None:
    assert store.put(FIRST)
    assert store.put(SECOND)
    assert store.oldest(0) == FIRST
    assert store.oldest(0) == FIRST
    store.done()
    assert store.oldest(0) == SECOND
    store.done()
    assert store.oldest(0) is None


def test_what_waits_of_one_signal_goes_together_and_is_one_request(tmp_path: Path) -> None:
    for store in (InMemory(), Spill(tmp_path, "orders-0")):
        for piece in (FIRST, SECOND, FIRST):
            store.put(piece)
        assert store.oldest(0) == Slice("traces", 4, b"firstfirst")
        store.put(FIRST)
        store.done()
        assert store.oldest(0) == SECOND
        store.done()
        assert store.oldest(0) == FIRST
        assert store.oldest(0) == FIRST
        store.done()
        assert store.oldest(0) is None


def test_no_more_goes_together_than_a_request_may_have(tmp_path: Path) -> None:
    large = Slice("traces", 1, bytes(AT_ONCE // 2 + 1))
    for store in (InMemory(), Spill(tmp_path, "orders-0")):
        for _ in range(20):
            assert store.put(large)
        for _ in range(20):
            assert store.oldest(0) == large
            store.done()


def test_beyond_the_bound_the_newest_is_refused(store: Store) -> None:
    assert store.put(FIRST)
    assert store.put(SECOND)
    assert not store.put(FIRST)
    assert store.oldest(0) == FIRST
    store.done()
    assert store.put(FIRST)


def test_what_a_process_left_is_there_for_its_successor(tmp_path: Path) -> None:
    before = Spill(tmp_path, "orders-0")
    before.put(FIRST)
    before.put(SECOND)
    before.close()
    (tmp_path / "orders-0" / "0000000000000003-1.part").write_bytes(b"half a wri")
    after = Spill(tmp_path, "orders-0")
    after.put(SECOND)
    found = []
    while (piece := after.oldest(0)) is not None:
        found.append(piece)
        after.done()
    assert found == [FIRST, Slice("logs", 6, b"secondsecond")]


def test_two_processes_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    one, two = Spill(tmp_path, "orders-0"), Spill(tmp_path, "orders-0")
    one.put(FIRST)
    two.put(SECOND)
    assert one.oldest(0) == FIRST
    assert two.oldest(0) == SECOND


def test_what_the_living_keep_is_no_stray_and_what_the_dead_left_is(tmp_path: Path) -> None:
    living, dead = Spill(tmp_path, "orders-0"), Spill(tmp_path, "orders-1")
    living.put(FIRST)
    dead.put(SECOND)
    sweeper = Spill(tmp_path, "gateway-0")
    assert list(sweeper.strays()) == []
    dead.close()
    assert list(sweeper.strays()) == [SECOND]
    assert list(sweeper.strays()) == []
    assert living.oldest(0) == FIRST


def test_a_stray_that_cannot_be_sent_now_stays(tmp_path: Path) -> None:
    dead = Spill(tmp_path, "orders-1")
    dead.put(FIRST)
    dead.close()
    sweeper = Spill(tmp_path, "gateway-0")
    assert next(sweeper.strays()) == FIRST
    assert list(sweeper.strays()) == [FIRST]


KILLED = """
import os, signal, sys, time
from pathlib import Path
from weft.telemetry import record
from weft.telemetry.console import Console
from weft.telemetry.setup import Telemetry
Telemetry("probe", version="1", instance=0, environment="test", console=Console("off"),
          level="info", spill=Path(sys.argv[1]))
for _ in range(100):
    with record.http_server("GET", "/x", port=1, headers={}) as call:
        call.status = 200
while not list(Path(sys.argv[1]).glob("*/*.logs")):
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_had_told_is_in_files(tmp_path: Path) -> None:
    nobody = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env={**os.environ, **nobody},
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    heir = Spill(tmp_path, "probe-0")
    items = {"traces": 0, "logs": 0}
    while (piece := heir.oldest(0)) is not None:
        items[piece.signal] += piece.items
        heir.done()
    assert items["traces"] == 100
    assert items["logs"] >= 100
