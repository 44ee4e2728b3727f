"""Log records for a person's eyes: lines of text on a terminal, JSON lines elsewhere."""

import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context

Style = Literal["auto", "text", "json", "off"]

_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Console:
    """Writes records to `stream` in one style."""

    def __init__(self, style: Style, stream: TextIO = sys.stderr) -> None:
        if style == "auto":
            style = "text" if stream.isatty() else "json"
        self._style = style
        self._stream = stream

    def write(
        self,
        time_ns: int,
        level: str,
        name: str,
        message: str,
        facts: Mapping[str, Any],
        exc: BaseException | None,
        ctx: Context,
    ) -> None:
        """Write one record; a console that went away (a closed pipe) is nobody's problem."""
        if self._style == "off":
            return
        span = trace.get_current_span(ctx).get_span_context()
        trace_id = f"{span.trace_id:032x}" if span.is_valid else None
        render = _text if self._style == "text" else _json
        try:
            self._stream.write(render(time_ns, level, name, message, facts, exc, trace_id))
            self._stream.flush()
        except (OSError, ValueError):
            self._style = "off"


def _stack(exc: BaseException) -> str:
    return "".join(traceback.format_exception(exc))


def _json(
    time_ns: int,
    level: str,
    name: str,
    message: str,
    facts: Mapping[str, Any],
    exc: BaseException | None,
    trace_id: str | None,
) -> str:
    when = datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    record = {"time": when, "level": level, "logger": name, "message": message, **facts}
    if trace_id:
        record["trace_id"] = trace_id
    if exc:
        record["exception"] = _stack(exc)
    return _encode(record).decode() + "\n"


def _text(
    time_ns: int,
    level: str,
    name: str,
    message: str,
    facts: Mapping[str, Any],
    exc: BaseException | None,
    trace_id: str | None,
) -> str:
    when = datetime.fromtimestamp(time_ns / 1e9, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
    shown = " ".join(f"\033[2m{key}=\033[0m{value}" for key, value in facts.items())
    tail = f" \033[2m{trace_id[:8]}\033[0m" if trace_id else ""
    line = f"{when} \033[{_COLOURS[level]}m{level:<7}\033[0m {name}: {message} {shown}{tail}\n"
    return line + _stack(exc) if exc else line
