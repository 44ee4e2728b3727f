"""Slices that the collector has not taken yet: files, which outlive the process.

A file holds one whole OTLP request, so any process may send it. The page cache survives the
process' death, so nothing is synchronised to disk.
"""

import fcntl
import os
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol, TypeVar

from weft.telemetry.accounting import Signal
from weft.telemetry.fast.outbox import Slice

LIMITS: dict[Signal, int] = {"traces": 48 * 1024 * 1024, "logs": 16 * 1024 * 1024}
"""Bytes that may wait; beyond, the newest is refused. Spans leave log records their room."""

AT_ONCE = 1024 * 1024
"""Bytes that are sent together, unless one slice alone has more."""

_KEPT = 8
"""Slices at the end of the queue that need not be read again from their files."""

_SLOTS = 100
_T = TypeVar("_T")


class Store(Protocol):
    """Keeps slices of one signal until they are done with. One thread puts, another takes."""

    def put(self, piece: Slice) -> bool:
        """Keep `piece`; False if there is no room for it."""

    def oldest(self, seconds: float) -> Slice | None:
        """Wait so long for the oldest slice, joined with what waits too; it stays until `done`."""

    def done(self) -> None:
        """Forget what `oldest` gave last."""

    def is_empty(self) -> bool:
        """Tell whether nothing waits."""

    def strays(self) -> Iterator[Slice]:
        """Give what processes that are gone have left; each is forgotten when the next is asked."""


class InMemory:
    """A Store for a process that was given no folder."""

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._slices: dict[int, Slice] = {}
        self._given: list[int] = []
        self._next = 0
        self._some = threading.Condition()

    def put(self, piece: Slice) -> bool:
        """Keep `piece`; False if there is no room for it."""
        with self._some:
            if len(piece.body) > self._room:
                return False
            self._room -= len(piece.body)
            self._slices[self._next] = piece
            self._next += 1
            self._some.notify()
        return True

    def oldest(self, seconds: float) -> Slice | None:
        """Wait so long for the oldest slice and what goes with it; they stay until `done`."""
        with self._some:
            self._some.wait_for(lambda: self._slices, seconds)
            self._given = _together([(key, len(each.body)) for key, each in self._slices.items()])
            given = [self._slices[key] for key in self._given]
        return Slice.joined(given) if given else None

    def done(self) -> None:
        """Forget what `oldest` gave last."""
        with self._some:
            for key in self._given:
                self._room += len(self._slices.pop(key).body)

    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        return not self._slices

    def strays(self) -> Iterator[Slice]:
        """There are none."""
        return iter(())


class Folder:
    """A folder of `parent` that is this process' own, as its lock says: `name`, or `name`-2, ...

    Raises OSError if none can be had.
    """

    def __init__(self, parent: Path, name: str) -> None:
        self.parent = parent
        self.path, self._lock = _own_folder(parent, name)
        for part in self.path.glob("*.part"):
            part.unlink()

    def close(self) -> None:
        """Leave the folder to whoever comes."""
        self._lock.close()


class Spill:
    """A Store in `folder`, in which what an earlier process has left comes first."""

    def __init__(self, folder: Folder, signal: Signal, limit: int) -> None:
        self._folder = folder
        self._signal = signal
        self._name = re.compile(rf"\d{{16}}-(\d{{1,9}})\.{signal}")
        self._some = threading.Condition()
        self._files = {path: path.stat().st_size for path in self._in(folder.path)}
        self._read: dict[Path, Slice] = {}
        self._given: list[Path] = []
        self._room = limit - sum(self._files.values())
        self._next = 1 + max((int(path.name[:16]) for path in self._files), default=0)

    def put(self, piece: Slice) -> bool:
        """Write `piece`; False if there is no room for it, here or on the disk."""
        size = len(piece.body)
        with self._some:
            if size > self._room:
                return False
        path = self._folder.path / f"{self._next:016d}-{piece.items}.{piece.signal}"
        self._next += 1
        part = path.with_suffix(".part")
        try:
            part.write_bytes(piece.body)
            part.rename(path)
        except OSError:
            part.unlink(missing_ok=True)
            return False
        with self._some:
            self._room -= size
            self._files[path] = size
            if len(self._files) <= _KEPT:
                self._read[path] = piece
            self._some.notify()
        return True

    def oldest(self, seconds: float) -> Slice | None:
        """Wait so long for the oldest slice and what goes with it; they stay until `done`."""
        with self._some:
            self._some.wait_for(lambda: self._files, seconds)
            sizes = list(self._files.items())
        self._given = _together(sizes)
        if not self._given:
            return None
        return Slice.joined([self._read.get(path) or self._from(path) for path in self._given])

    def done(self) -> None:
        """Remove what `oldest` gave last."""
        for path in self._given:
            with self._some:
                self._room += self._files.pop(path)
                self._read.pop(path, None)
            path.unlink()

    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        return not self._files

    def strays(self) -> Iterator[Slice]:
        """Give what is in folders whose process is gone; each is removed when the next is asked."""
        for path in sorted(self._folder.parent.iterdir()):
            if path == self._folder.path or not self._in(path):
                continue
            lock = _locked(path)
            if lock is None:
                continue
            with lock:
                for file in self._in(path):
                    yield self._from(file)
                    file.unlink()

    def _in(self, folder: Path) -> list[Path]:
        try:
            return sorted(path for path in folder.iterdir() if self._name.fullmatch(path.name))
        except OSError:
            return []

    def _from(self, path: Path) -> Slice:
        match = self._name.fullmatch(path.name)
        if match is None:
            raise ValueError(f"{path.name} is no slice")
        return Slice(self._signal, int(match[1]), path.read_bytes())


def _together(waiting: Sequence[tuple[_T, int]]) -> list[_T]:
    """Return the first of (what, its bytes) and those after it that go with it."""
    chosen: list[_T] = []
    room = AT_ONCE
    for each, size in waiting:
        if chosen and size > room:
            break
        chosen.append(each)
        room -= size
    return chosen


def _own_folder(parent: Path, name: str) -> tuple[Path, IO[bytes]]:
    for number in range(1, _SLOTS):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _locked(folder)
        if lock is not None:
            return folder, lock
    raise OSError(f"all folders for {name} are in use")


def _locked(folder: Path) -> IO[bytes] | None:
    """Return the open lock of `folder`, or None while another process has it."""
    try:
        file = (folder / ".lock").open("ab")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    os.set_inheritable(file.fileno(), False)
    return file
