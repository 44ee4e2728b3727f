"""The processes of one system, found by a mark in their environment.

The mark is given to supervisord and inherited by all that it starts, so they are found also when
supervisord is gone, and nothing else is ever taken for one of them.
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import psutil

from stack.home import Home

MARK: Final = "WEFT_SUPERVISED"
_NAME: Final = "SUPERVISOR_PROCESS_NAME"
"""supervisord gives it to what it starts, and has none itself."""


@dataclass(frozen=True)
class Marked:
    """A process of the system; `program` is "" for supervisord."""

    process: psutil.Process
    program: str


def marked(home: Home) -> list[Marked]:
    """Return every process of the system in `home` that runs now."""
    return list(_marked(str(home.path)))


def _marked(path: str) -> Iterator[Marked]:
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            ended = process.status() == psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
        if environment.get(MARK) == path and not ended and process.pid != os.getpid():
            yield Marked(process, environment.get(_NAME, ""))


def roots(processes: Iterable[Marked]) -> dict[str, psutil.Process]:
    """Return the first process of each program: the oldest, which the others come from."""
    found: dict[str, psutil.Process] = {}
    for one in sorted(processes, key=lambda one: (one.process.create_time(), one.process.pid)):
        if one.program:
            found.setdefault(one.program, one.process)
    return found


def end(processes: Iterable[psutil.Process], number: int, seconds: float) -> list[psutil.Process]:
    """Send signal `number` to all, wait at most `seconds`, and return those that still run."""
    known = list(processes)
    for process in known:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(known, timeout=seconds)
    return alive


def kill_all(home: Home, seconds: float = 10.0) -> None:
    """Kill whatever is left, until nothing is."""
    deadline = time.monotonic() + seconds
    while left := [one.process for one in marked(home)]:
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in left)
            raise TimeoutError(f"processes that cannot be ended: {pids}")
        end(left, signal.SIGKILL, 1.0)


def memory_bytes(process: psutil.Process) -> int:
    """Return what the process and its descendants take; shared memory is counted once."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(own_memory_bytes(member) for member in family)


def own_memory_bytes(process: psutil.Process) -> int:
    """Return the process's own share; 0 if it has ended."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def wait(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Wait at most `seconds` for all of them to end."""
    psutil.wait_procs(list(processes), timeout=seconds)
