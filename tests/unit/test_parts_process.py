from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from stack.parts.process import Command, DeadlineExceeded

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE_S = 20.0


class Cancelled(Exception):
    pass


def run(tmp_path: Path, script: str, **options: Any) -> tuple[int, list[str], str]:
    """Exit code, lines heard, and log of a shell script; lines with `#` stay out of the log."""
    lines: list[str] = []

    def heard(line: str) -> bool:
        lines.append(line)
        return "#" not in line

    log = tmp_path / "log"
    with log.open("ab") as stream:
        settings: dict[str, Any] = {
            "log": stream,
            "deadline_s": DEADLINE_S,
            "heard": heard,
            "tick": lambda: None,
        }
        code = Command(["sh", "-c", script], **(settings | options)).run()
    return code, lines, log.read_text(errors="replace")


def wait_until_gone(pid: int) -> None:
    ends = time.monotonic() + DEADLINE_S
    while time.monotonic() < ends:
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            time.sleep(0.02)
            continue
        return
    pytest.fail(f"process {pid} is still there")


def test_output_is_heard_line_by_line_and_logged(tmp_path: Path) -> None:
    code, lines, log = run(tmp_path, "echo one; echo '# two' >&2; printf three; exit 4")
    assert code == 4
    assert lines == ["one", "# two", "three"]
    assert "one\nthree\n" in log
    assert "$ sh -c echo one" in log


def test_a_command_past_its_deadline_is_stopped_with_its_children(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path / 'pid'}; wait"
    with pytest.raises(DeadlineExceeded):
        run(tmp_path, script, deadline_s=2)
    wait_until_gone(int((tmp_path / "pid").read_text()))


def test_what_a_tick_raises_stops_the_command_and_comes_out(tmp_path: Path) -> None:
    began = time.monotonic()

    def tick() -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise Cancelled

    with pytest.raises(Cancelled):
        run(tmp_path, f"echo $$ > {tmp_path / 'pid'}; exec sleep 60", tick=tick)
    wait_until_gone(int((tmp_path / "pid").read_text()))
    assert time.monotonic() - began < DEADLINE_S


def test_an_unstoppable_command_is_waited_for(tmp_path: Path) -> None:
    def tick() -> None:
        raise Cancelled

    script = f"echo begun; sleep 0.5; echo more; echo done > {tmp_path / 'done'}"
    with pytest.raises(Cancelled):
        run(tmp_path, script, tick=tick, unstoppable=True)
    assert (tmp_path / "done").read_text() == "done\n"


def test_a_daemon_that_keeps_the_pipe_open_does_not_hold_us_up(tmp_path: Path) -> None:
    began = time.monotonic()
    code, lines, _ = run(tmp_path, f"sleep 30 & echo $! > {tmp_path / 'pid'}; echo done")
    os.kill(int((tmp_path / "pid").read_text()), 9)
    assert (code, lines) == (0, ["done"])
    assert time.monotonic() - began < DEADLINE_S


def test_bytes_that_are_no_text_do_not_break_it(tmp_path: Path) -> None:
    code, lines, _ = run(tmp_path, r"printf '\377\376 bad\n'")
    assert code == 0
    assert lines[0].endswith(" bad")
