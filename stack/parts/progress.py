"""How far an installation is, and what stops it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Step = Literal["waiting", "getting Go", "installing", "downloading", "compiling", "linking", "done"]
Unit = Literal["modules", "packages", "percent"]

_INTERVAL_S = 0.25
_SHARE: dict[Step, tuple[float, float]] = {
    "waiting": (0.0, 0.0),
    "getting Go": (0.0, 0.0),
    "installing": (0.0, 1.0),
    "downloading": (0.0, 0.25),
    "compiling": (0.25, 0.95),
    "linking": (0.95, 1.0),
    "done": (1.0, 1.0),
}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is being done now.

    `done` of `total` are counted in `unit` within this step (`total` 0: nothing to count; of
    "downloading" it is an upper bound). `fraction` (0..1) is of the whole part, never falls, and
    is rough: it counts a large package like a small one. It is no measure of time.
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
    """A part could not be installed: its `name`, `why`, the `log` to read and its `last_lines`."""

    def __init__(self, name: str, why: str, log: Path, last_lines: tuple[str, ...] = ()) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name
        self.why = why
        self.log = log
        self.last_lines = last_lines


class Tracker:
    """Turns what is counted into a Progress a few times a second."""

    def __init__(self, name: str, report: Callable[[Progress], None]) -> None:
        self._name = name
        self._report = report
        self._began = time.monotonic()
        self._reported = 0.0
        self._step: Step = "waiting"
        self._unit: Unit = "percent"
        self._done = 0
        self._total = 0
        self._fraction = 0.0

    def begin(self, step: Step, *, total: int = 0, unit: Unit = "percent") -> None:
        self._step, self._unit, self._done, self._total = step, unit, 0, total
        self._tell()

    def advance(self, done: int | None = None) -> None:
        """To `done`, or one further."""
        self._done = min(self._done + 1 if done is None else done, self._total)

    @property
    def complete(self) -> bool:
        return self._done >= self._total

    def tick(self) -> None:
        if time.monotonic() - self._reported >= _INTERVAL_S:
            self._tell()

    def _tell(self) -> None:
        start, end = _SHARE[self._step]
        within = self._done / self._total if self._total else 0.0
        self._fraction = max(self._fraction, start + (end - start) * within)
        self._reported = time.monotonic()
        self._report(
            Progress(
                name=self._name,
                step=self._step,
                done=self._done,
                total=self._total,
                unit=self._unit,
                fraction=self._fraction,
                elapsed_s=self._reported - self._began,
            )
        )
