"""Which programs of the system keep the machine's cores busy."""

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

_STATUS_SECONDS: Final = 30
LOCUST: Final = "locust"
OTHERS: Final = "everything else"


class Usage:
    """CPU time of every program since `start`, with all its child processes."""

    def __init__(self) -> None:
        self._programs = {LOCUST: [psutil.Process()]}
        for name, pid in _programs():
            with suppress(psutil.Error):
                self._programs.setdefault(name, []).append(psutil.Process(pid))
        self.start()

    def start(self) -> None:
        self._began = time.monotonic()
        self._before = self._seconds()
        psutil.cpu_percent()

    def measured(self) -> tuple[float, dict[str, float]]:
        """Return the share of all cores that was busy, and the cores that each program was."""
        seconds = max(time.monotonic() - self._began, 0.001)
        now = self._seconds()
        cores = {
            name: round(max(0.0, spent - self._before.get(name, spent)) / seconds, 3)
            for name, spent in now.items()
        }
        cpu = psutil.cpu_percent() / 100
        others = cpu * (psutil.cpu_count() or 1) - sum(cores.values())
        cores[OTHERS] = round(max(0.0, others), 3)
        return cpu, cores

    def _seconds(self) -> dict[str, float]:
        return {
            name: sum(_spent(process) for process in processes)
            for name, processes in self._programs.items()
        }


def _spent(process: psutil.Process) -> float:
    total = 0.0
    with suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                times = one.cpu_times()
                total += times.user + times.system
    return total


def _programs() -> list[tuple[str, int]]:
    """Ask `weft status`; without an answer only Locust itself is measured."""
    weft = Path(sys.executable).with_name("weft")
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            [weft, "status", "--json"],
            capture_output=True,
            timeout=_STATUS_SECONDS,
            check=False,
        )
        entries = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return [(one["name"], one["pid"]) for one in entries if one.get("pid")]
