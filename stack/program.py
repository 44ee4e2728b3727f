"""One process of the system that the supervisor keeps running."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stack.home import ROOT
from stack.probe import NotReadyError, Probe

Kind = Literal["service", "backing"]


@dataclass(frozen=True, kw_only=True)
class Program:
    """How a process is started, asked whether it is ready, and stopped.

    `id` is unique and names its log file; `stop_seconds` is how long it may take to end before it
    is killed. `port` is 0 where it has none. `nice` is nice(1)'s adjustment: how far it stands back
    where cores are short.
    """

    id: str
    name: str
    kind: Kind
    port: int
    command: tuple[str | Path, ...]
    probe: Probe
    instance: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path = ROOT
    user: str | None = None
    stop_signal: Literal["TERM", "INT"] = "TERM"
    stop_seconds: int = 10
    nice: int = 0

    def why_not_ready(self) -> str | None:
        """Ask it: None if it is ready, else what is in the way."""
        try:
            self.probe()
        except NotReadyError as error:
            return str(error)
        return None
