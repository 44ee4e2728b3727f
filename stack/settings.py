"""The settings of a system on this machine: where it keeps its data, its ports, its traffic."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from weft.settings import Settings, SettingsError

HIGHEST_PORT_BASE = 15000
"""Above it, the ports meet the ephemeral range."""
BASE_FILE = Path("config") / "port-base"
_PATH = re.compile(r"[\w./+@:~-]+", re.ASCII)


class StackSettings(Settings, frozen=True, kw_only=True):
    """Variables WEFT_HOME, WEFT_PORT_BASE and so on."""

    home: Path | None = None
    port_base: Annotated[int, msgspec.Meta(ge=0, le=HIGHEST_PORT_BASE)] | None = None
    traffic: bool = True
    record_telemetry: bool = False
    faults: bool | None = None
    environment: str = "local"
    sampling: Literal["all", "tail"] = "all"
    doors: Literal["usual", "all"] = "usual"


def traffic(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a start brings synthetic traffic along; SettingsError in one line."""
    return StackSettings.load(environ).traffic


def records(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether the collector of a new system writes what it receives to files, too."""
    return StackSettings.load(environ).record_telemetry


def faults(environ: Mapping[str, str]) -> bool:
    """Return whether services take faults: where WEFT_FAULTS says so, or nobody says that the
    environment is another than local. SettingsError in one line."""
    settings = StackSettings.load(environ)
    return settings.environment == "local" if settings.faults is None else settings.faults


def sampling(environ: Mapping[str, str]) -> str:
    """Return which traces are stored: all, or a choice at their end (tail). SettingsError."""
    return StackSettings.load(environ).sampling


def doors(environ: Mapping[str, str]) -> str:
    """Return which doors the collector has beside OTLP; SettingsError in one line."""
    return StackSettings.load(environ).doors


def load(environ: Mapping[str, str] = os.environ) -> tuple[Path, int]:
    """Return the absolute data folder and the port base; SettingsError in one line.

    A system that was moved once stays where it is until it is told otherwise.
    """
    settings = StackSettings.load(environ)
    home = (settings.home or default_home(environ)).expanduser().absolute()
    if not _PATH.fullmatch(str(home)):
        raise SettingsError("WEFT_HOME: expected a path of letters, digits and . / + @ : ~ _ -")
    if home == Path("/"):
        raise SettingsError("WEFT_HOME is /: expected a folder of its own")
    base = settings.port_base
    return home, remembered_base(home) if base is None else base


def remembered_base(home: Path) -> int:
    """Return the base of the last start, 0 before the first."""
    try:
        return int((home / BASE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the XDG data folder; for root /var/lib, because PostgreSQL runs as another user."""
    if os.geteuid() == 0:
        return Path("/var/lib/weft")
    data = environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "weft"
