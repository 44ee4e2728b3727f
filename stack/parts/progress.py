"""How far an installation is, and what stops it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Step = Literal["waiting", "downloading", "compiling", "linking", "installing", "done"]
Unit = Literal["modules", "packages", "percent"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is being done now.

    `done` of `total` are counted in `unit` within this step (`total` 0: nothing to count).
    `fraction` (0..1) is rough: it is for the whole part, counts every package alike, and only grows.
    """

    name: str
    step: Step
    done: int
    total: int
    unit: Unit
    fraction: float
    elapsed_s: float


class UnsupportedHost(Exception):
    """This is neither Debian nor Ubuntu: the native run is not for here, compose is."""


class PartFailed(Exception):
    """A part could not be installed: `name`, the `log` to read, and its `last_lines`."""

    def __init__(self, name: str, why: str, log: Path, last_lines: tuple[str, ...] = ()) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name
        self.why = why
        self.log = log
        self.last_lines = last_lines
