"""Log files of programs, from their end on, one line after the other."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from rich.text import Text

from stack.cli.show import out
from stack.home import Home

_POLL: Final = 0.2
_COLOURS: Final = ("cyan", "green", "magenta", "yellow", "blue", "bright_red")
_TAIL_BYTES: Final = 256 * 1024


class NoLogError(Exception):
    """None of the programs that were named has a log file."""


def show(home: Home, names: list[str], *, lines: int, follow: bool) -> None:
    """Print the last `lines` of each program's log; with `follow` go on until interrupted."""
    files = _files(home, names)
    if not files:
        raise NoLogError(f"no log of {', '.join(names) or 'any program'} in {home.logs}")
    width = max(map(len, files))
    for name, path in files.items():
        for line in _tail(path, lines):
            _print(name, width, line)
    if follow:
        tails = {name: _follow(path) for name, path in files.items()}
        while True:
            for name, new_lines in tails.items():
                for line in next(new_lines):
                    _print(name, width, line)
            time.sleep(_POLL)


def _files(home: Home, names: list[str]) -> dict[str, Path]:
    """`orders` names all instances of the service."""
    found = {path.stem: path for path in sorted(home.logs.glob("*.log"))}
    if not names:
        return {name: path for name, path in found.items() if not name.startswith("build-")}
    return {
        name: path
        for name, path in found.items()
        if name in names or name.rpartition("-")[0] in names
    }


def _tail(path: Path, lines: int) -> list[str]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    return text.splitlines()[-lines:] if lines else []


def _follow(path: Path) -> Iterator[list[str]]:
    """Give what was added since the last time, also over a rotation of the file."""
    file: TextIO = path.open(encoding="utf-8", errors="replace")
    file.seek(0, 2)
    rest = ""
    while True:
        text = rest + file.read()
        *complete, rest = text.split("\n")
        if not complete and path.exists() and path.stat().st_ino != _inode(file):
            file.close()
            file = path.open(encoding="utf-8", errors="replace")
        yield complete


def _inode(file: TextIO) -> int:
    return os.fstat(file.fileno()).st_ino


def _print(name: str, width: int, line: str) -> None:
    colour = _COLOURS[sum(name.encode()) % len(_COLOURS)]
    out.print(Text(f"{name:<{width}} ", style=colour) + Text(line), soft_wrap=True)
