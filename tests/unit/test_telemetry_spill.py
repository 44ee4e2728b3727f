"""Telemetry that waits for the collector in files outlives its process, and has a bound."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from weft.telemetry.fast.outbox import Signal, Slice
from weft.telemetry.fast.spill import AT_ONCE, LIMITS, Folder, InMemory, Spill, Store

FIRST = Slice("traces", 2, b"first")
SECOND = Slice("traces", 3, b"second")
RECORD = Slice("logs", 1, b"record")
ROOM = 100 * AT_ONCE


def spill(parent: Path, name: str, signal: Signal = "traces", limit: int = ROOM) -> Spill:
    return Spill(Folder(parent, name), signal, limit)


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return InMemory(12) if request.param == "memory" else spill(tmp_path, "orders-0", limit=12)


def test_slices_stay_until_they_are_done_with_and_go_together(tmp_path: Path) -> None:
    for store in (InMemory(ROOM), spill(tmp_path, "orders-0")):
        assert store.put(FIRST)
        assert store.put(SECOND)
        assert store.oldest(0) == Slice("traces", 5, b"firstsecond")
        assert store.put(FIRST)
        store.done()
        assert store.oldest(0) == FIRST
        assert store.oldest(0) == FIRST
        store.done()
        assert store.oldest(0) is None


def test_no_more_goes_together_than_a_request_may_have(tmp_path: Path) -> None:
    large = Slice("traces", 1, bytes(AT_ONCE // 2 + 1))
    for store in (InMemory(ROOM), spill(tmp_path, "orders-0")):
        for _ in range(20):
            assert store.put(large)
        for _ in range(20):
            assert store.oldest(0) == large
            store.done()


def test_beyond_the_bound_the_newest_is_refused(store: Store) -> None:
    assert store.put(FIRST)
    assert store.put(SECOND)
    assert not store.put(FIRST)
    store.oldest(0)
    store.done()
    assert store.put(FIRST)


def test_spans_leave_log_records_their_room(tmp_path: Path) -> None:
    assert sum(LIMITS.values()) == 64 * 1024 * 1024
    folder = Folder(tmp_path, "orders-0")
    spans, records = Spill(folder, "traces", 5), Spill(folder, "logs", 6)
    assert spans.put(FIRST)
    assert not spans.put(FIRST)
    assert records.put(RECORD)
    assert spans.oldest(0) == FIRST
    spans.done()
    assert records.oldest(0) == RECORD


def test_what_a_process_left_is_there_for_its_successor(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "orders-0")
    for piece in (FIRST, RECORD):
        assert Spill(folder, piece.signal, ROOM).put(piece)
    folder.close()
    (folder.path / "0000000000000003-1.part").write_bytes(b"half a wri")
    after = Folder(tmp_path, "orders-0")
    assert after.path == folder.path
    spans, records = Spill(after, "traces", ROOM), Spill(after, "logs", ROOM)
    spans.put(SECOND)
    assert spans.oldest(0) == Slice("traces", 5, b"firstsecond")
    assert records.oldest(0) == RECORD
    for store in (spans, records):
        store.done()
    assert [path.name for path in after.path.iterdir()] == [".lock"]


def test_two_processes_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    one, two = spill(tmp_path, "orders-0"), spill(tmp_path, "orders-0")
    one.put(FIRST)
    two.put(SECOND)
    assert one.oldest(0) == FIRST
    assert two.oldest(0) == SECOND


def test_what_the_living_keep_is_no_stray_and_what_the_dead_left_is(tmp_path: Path) -> None:
    living, dead = spill(tmp_path, "orders-0"), Folder(tmp_path, "orders-1")
    living.put(FIRST)
    Spill(dead, "traces", ROOM).put(SECOND)
    Spill(dead, "logs", ROOM).put(RECORD)
    sweeper = Folder(tmp_path, "gateway-0")
    spans, records = Spill(sweeper, "traces", ROOM), Spill(sweeper, "logs", ROOM)
    assert list(spans.strays()) == []
    dead.close()
    assert list(spans.strays()) == [SECOND]
    assert list(spans.strays()) == []
    assert list(records.strays()) == [RECORD]
    assert living.oldest(0) == FIRST


def test_a_stray_that_cannot_be_sent_now_stays(tmp_path: Path) -> None:
    dead = Folder(tmp_path, "orders-1")
    Spill(dead, "traces", ROOM).put(FIRST)
    dead.close()
    sweeper = spill(tmp_path, "gateway-0")
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
def kept(kind):
    return sum(int(path.stem.split("-")[1]) for path in Path(sys.argv[1]).glob(f"*/*.{kind}"))
while kept("traces") < 100 or kept("logs") < 100:
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
    heir = Folder(tmp_path, "probe-0")
    items = dict.fromkeys(LIMITS, 0)
    for signal_name in LIMITS:
        store = Spill(heir, signal_name, ROOM)
        while (piece := store.oldest(0)) is not None:
            items[signal_name] += piece.items
            store.done()
    assert items["traces"] == 100
    assert items["logs"] >= 100
