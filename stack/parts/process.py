"""Runs one command of an installation, with a deadline: output to the log, and to us by line."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_TICK_S = 0.5
_GRACE_S = 5.0


class DeadlineExceeded(Exception):
    """The command was still running at its deadline and was stopped."""


class Command:
    """One command, run in a process group of its own, so that Ctrl-C reaches it through us alone.

    `heard` gets each line of its output and says whether it belongs in the log; `tick` is called
    every half second. What either raises stops the command and comes out of `run`; one that is
    `unstoppable` (dpkg would be left half done) is waited for first, within its deadline.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: IO[bytes],
        deadline_s: float,
        heard: Callable[[str], bool],
        tick: Callable[[], None],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        unstoppable: bool = False,
        keep_open: tuple[int, ...] = (),
    ) -> None:
        self._argv = list(argv)
        self._log = log
        self._deadline_s = deadline_s
        self._heard = heard
        self._tick = tick
        self._env = env
        self._cwd = cwd
        self._unstoppable = unstoppable
        self._keep_open = keep_open
        self._rest = b""

    def run(self) -> int:
        """The command's exit code; raises DeadlineExceeded, and OSError if it cannot be started."""
        self._log.write(f"\n$ {' '.join(self._argv)}\n".encode())
        self._log.flush()
        process = subprocess.Popen(  # noqa: S603  an argument list of ours, no shell
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._env,
            cwd=self._cwd,
            process_group=0,
            pass_fds=self._keep_open,
        )
        ends = time.monotonic() + self._deadline_s
        with process:
            try:
                self._follow(process, ends)
            except BaseException:
                self._stop(process, ends)
                raise
        return process.returncode

    def _follow(self, process: subprocess.Popen[bytes], ends: float) -> None:
        """Reads until the command has ended; a daemon that it left may keep the pipe open."""
        output = process.stdout
        if output is None:
            raise RuntimeError("the command's output is not a pipe")
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                readable = bool(selector.select(_TICK_S))
                chunk = os.read(output.fileno(), 65536) if readable else b""
                self._take(chunk)
                self._tick()
                if not chunk and (readable or process.poll() is not None):
                    break
                if time.monotonic() > ends:
                    raise DeadlineExceeded(f"not done after {self._deadline_s:.0f} s")
        self._take(b"\n" if self._rest else b"")
        process.wait(max(_GRACE_S, ends - time.monotonic()))

    def _take(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if self._heard(line.decode(errors="replace").rstrip("\r")):
                self._log.write(line + b"\n")
        if lines:
            self._log.flush()

    def _stop(self, process: subprocess.Popen[bytes], ends: float) -> None:
        if process.stdout is not None and not self._unstoppable:
            process.stdout.close()
        if self._unstoppable and _drained(process, ends - time.monotonic()):
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except (ProcessLookupError, PermissionError):
                return
            if _ended(process, _GRACE_S):
                return


def _drained(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Whether the command ends in time when nobody but this reads what it says."""
    try:
        process.communicate(timeout=max(0.0, timeout_s))
    except subprocess.TimeoutExpired:
        return False
    return True


def _ended(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True
