"""Log records for a person's eyes: lines of text on a terminal, JSON lines elsewhere."""

import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TextIO

import msgspec

Style = Literal["auto", "text", "json", "off"]

_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Line(NamedTuple):
    """A record on its way to the console; `time` in nanoseconds since the epoch."""

    time: int
    level: str
    name: str
    message: str
    facts: Mapping[str, Any]
    exc: BaseException | None
    trace_id: int = 0

    @property
    def trace(self) -> str:
        """The trace's 32 hex digits; empty outside any trace."""
        return f"{self.trace_id:032x}" if self.trace_id else ""

    @property
    def when(self) -> datetime:
        """The time in UTC."""
        return datetime.fromtimestamp(self.time / 1e9, UTC)

    @property
    def stack(self) -> str:
        """The exception as Python prints it; empty without one."""
        return "".join(traceback.format_exception(self.exc)) if self.exc else ""


class Console:
    """Writes records to `stream` in one style."""

    def __init__(self, style: Style, stream: TextIO = sys.stderr) -> None:
        if style == "auto":
            style = "text" if stream.isatty() else "json"
        self.is_on = style != "off"
        """Whether anything is written."""
        self._style = style
        self._stream = stream

    def write(self, *lines: Line) -> None:
        """Write records at once; a console that went away (a closed pipe) is nobody's problem."""
        if not self.is_on or not lines:
            return
        render = _text if self._style == "text" else _json
        try:
            self._stream.write("".join(map(render, lines)))
            self._stream.flush()
        except (OSError, ValueError):
            self.is_on = False


def _json(line: Line) -> str:
    record = {
        "time": line.when.isoformat(timespec="milliseconds"),
        "level": line.level,
        "logger": line.name,
        "message": line.message,
        **line.facts,
    }
    if line.trace_id:
        record["trace_id"] = line.trace
    if line.exc:
        record["exception"] = line.stack
    return _encode(record).decode() + "\n"


def _text(line: Line) -> str:
    when = line.when.astimezone().strftime("%H:%M:%S.%f")[:-3]
    shown = " ".join(f"\033[2m{key}=\033[0m{value}" for key, value in line.facts.items())
    tail = f" \033[2m{line.trace[:8]}\033[0m" if line.trace_id else ""
    level = f"\033[{_COLOURS[line.level]}m{line.level:<7}\033[0m"
    return f"{when} {level} {line.name}: {line.message} {shown}{tail}\n{line.stack}"
