from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from stack.parts.lock import StillLocked, exclusive

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE_S = 20.0

HOLDER = """
import sys, pathlib
from stack.parts.lock import exclusive
with exclusive(pathlib.Path(sys.argv[1]), deadline_s=5, waiting=lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_waits_until_the_first_is_done(tmp_path: Path) -> None:
    path = tmp_path / "parts" / ".lock"
    waited, released = threading.Event(), threading.Event()
    order: list[str] = []

    def second() -> None:
        with exclusive(path, deadline_s=DEADLINE_S, waiting=waited.set):
            assert released.is_set()
            order.append("second")

    thread = threading.Thread(target=second)
    with exclusive(path, deadline_s=DEADLINE_S, waiting=lambda: None):
        thread.start()
        assert waited.wait(DEADLINE_S)
        order.append("first")
        released.set()
    thread.join(DEADLINE_S)
    assert order == ["first", "second"]


def test_a_lock_that_stays_taken_is_an_error_after_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with (
        exclusive(path, deadline_s=DEADLINE_S, waiting=lambda: None),
        pytest.raises(StillLocked, match=r"\.lock"),
        exclusive(path, deadline_s=0.1, waiting=lambda: None),
    ):
        pytest.fail("held twice")


def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    with exclusive(path, deadline_s=DEADLINE_S, waiting=lambda: None):
        pass
