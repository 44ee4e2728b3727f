"""One installation under way: its log, its progress, and how a failure of it is told."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from stack.parts.process import Command, DeadlineExceeded
from stack.parts.progress import PartFailed, Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from stack.parts.progress import Progress

_LAST_LINES = 15
_TAIL_BYTES = 64 * 1024


class Job:
    """What every command of one part's installation shares."""

    def __init__(
        self, name: str, log: Path, stream: IO[bytes], report: Callable[[Progress], None]
    ) -> None:
        self.name = name
        self.tracker = Tracker(name, report)
        self.lock_file: int | None = None
        self._log = log
        self._stream = stream

    def run(
        self,
        argv: Sequence[str],
        *,
        deadline_s: float,
        heard: Callable[[str], bool] = bool,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        unstoppable: bool = False,
    ) -> int:
        """The exit code; see Command. The lock stays taken while a child outlives this process."""
        command = Command(
            argv,
            log=self._stream,
            deadline_s=deadline_s,
            heard=heard,
            tick=self.tracker.tick,
            env=env,
            cwd=cwd,
            unstoppable=unstoppable,
            keep_open=() if self.lock_file is None else (self.lock_file,),
        )
        try:
            return command.run()
        except DeadlineExceeded as exceeded:
            raise self.failed(f"{argv[0]} was {exceeded}") from exceeded
        except FileNotFoundError as missing:
            raise self.failed(f"{missing.filename} is not on this machine") from missing

    def failed(self, why: str) -> PartFailed:
        return PartFailed(self.name, why, self._log, last_lines(self._log))


@contextmanager
def job(name: str, log: Path, report: Callable[[Progress], None]) -> Iterator[Job]:
    """A job that appends to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        yield Job(name, log, stream, report)


def last_lines(log: Path) -> tuple[str, ...]:
    """The last lines of a log that say something."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = stream.read().decode(errors="replace").splitlines()
    return tuple(line for line in lines if line.strip())[-_LAST_LINES:]
