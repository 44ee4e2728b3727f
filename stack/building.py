"""Installs the missing parts beside the start of those that are there, and lets others watch."""

import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from stack import parts
from stack.home import Home, write_json
from stack.parts import PartFailed, Progress


class CancelledError(Exception):
    """The build was stopped because the start was given up."""


class Builder:
    """A thread that installs `names` one after the other; use it as a context manager."""

    def __init__(self, home: Home, names: list[str]) -> None:
        self._home = home
        self._pending = list(names)
        self._progress: Progress | None = None
        self._failure: BaseException | None = None
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="builder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cancelled.set()
        self._thread.join()
        self._file.unlink(missing_ok=True)

    @property
    def pending(self) -> list[str]:
        """The parts that are not installed yet, the current one first."""
        return list(self._pending)

    @property
    def progress(self) -> Progress | None:
        return self._progress

    def check(self) -> None:
        """Raise what stopped the installation: PartFailed, usually."""
        if self._failure is not None:
            raise self._failure

    def log(self, name: str) -> Path:
        return self._home.log(f"build-{name}")

    @property
    def _file(self) -> Path:
        return self._home.run / "building.json"

    def _run(self) -> None:
        try:
            for name in list(self._pending):
                self._tell(name, 0.0)
                parts.install(name, log=self.log(name), progress=self._report)
                self._pending.remove(name)
        except CancelledError:
            return
        except BaseException as error:  # noqa: BLE001  # the waiting thread raises it
            self._failure = error

    def _report(self, progress: Progress) -> None:
        if self._cancelled.is_set():
            raise CancelledError
        self._progress = progress
        self._tell(progress.name, progress.fraction)

    def _tell(self, name: str, fraction: float) -> None:
        me = psutil.Process()
        write_json(
            self._file,
            {
                "pid": os.getpid(),
                "started": me.create_time(),
                "at": time.time(),
                "name": name,
                "fraction": fraction,
                "pending": self._pending,
            },
        )


@dataclass(frozen=True)
class Building:
    """What another process is installing now; `fraction` (0..1) of the part `name`."""

    name: str
    fraction: float
    pending: tuple[str, ...]

    def of(self, part: str) -> str | None:
        """Return what a person is told of `part`, or None if it is not being installed."""
        if part == self.name:
            return f"building {self.fraction:.0%}".replace("%", " %")
        return "waits to be built" if part in self.pending else None


def current(home: Home) -> Building | None:
    """Return what is being installed for this system, by a process that still runs."""
    try:
        said = json.loads((home.run / "building.json").read_text(encoding="utf-8"))
        if psutil.Process(said["pid"]).create_time() != said["started"]:
            return None
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    return Building(said["name"], said["fraction"], tuple(said["pending"]))


__all__ = ["Builder", "Building", "CancelledError", "PartFailed", "current"]
