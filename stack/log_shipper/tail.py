"""A log file read from where it was left, over restarts and rotations."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

CHUNK_BYTES: Final = 256 * 1024
"""What is read at once, and the longest line that is kept whole."""


@dataclass(frozen=True)
class Position:
    """How far a file was taken: `inode` tells it from the one that took its name."""

    inode: int
    offset: int


class Tail:
    """The lines that come into `path`; rotated files are `path`.1, `path`.2 ..."""

    def __init__(self, path: Path, position: Position | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._position = position
        self._rest = b""

    def read(self) -> list[str]:
        """Return the complete lines of the next chunk; an empty list if there is none yet."""
        file = self._open()
        if file is None:
            return []
        data = file.read(CHUNK_BYTES)
        if not data:
            self._next_file(file)
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > CHUNK_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        return [line.decode("utf-8", errors="replace") for line in lines if line.strip()]

    def position(self) -> Position | None:
        """Return where the next line begins."""
        if self._file is None:
            return self._position
        return Position(_inode(self._file), self._file.tell() - len(self._rest))

    def rewind(self, position: Position | None) -> None:
        """Go back: what was read since then could not be sent."""
        self._close()
        self._position = position

    def _open(self) -> BinaryIO | None:
        if self._file is None:
            path = self._find()
            if path is None:
                return None
            self._file = path.open("rb")
            self._file.seek(self._offset(self._file))
        return self._file

    def _offset(self, file: BinaryIO) -> int:
        """Where to go on; at the start of a file that only has the inode of one long gone."""
        status = os.fstat(file.fileno())
        known = self._position
        same = known is not None and known.inode == status.st_ino
        return known.offset if known and same and known.offset <= status.st_size else 0

    def _find(self) -> Path | None:
        """The file that was being read, whatever its name is now; else the oldest there is."""
        candidates = [self._path, *sorted(self._path.parent.glob(f"{self._path.name}.[0-9]*"))]
        there = [path for path in candidates if path.exists()]
        if self._position is not None:
            for path in there:
                if path.stat().st_ino == self._position.inode:
                    return path
        return there[-1] if there else None

    def _next_file(self, file: BinaryIO) -> None:
        """Go on with the file that came after this one, if this one was rotated away."""
        names = [self._path, *sorted(self._path.parent.glob(f"{self._path.name}.[0-9]*"))]
        later: Path | None = None
        for path in names:
            if path.exists() and path.stat().st_ino == _inode(file):
                break
            later = path if path.exists() else later
        if later is not None:
            self._close()
            self._position = Position(later.stat().st_ino, 0)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""


def _inode(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_ino
