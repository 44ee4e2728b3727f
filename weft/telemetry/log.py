"""Log records: a constant message, facts as attributes, the trace that they belong to.

Records of libraries (through `logging`) and of ours take the same way: to the collector by the
OpenTelemetry logs API, and to the console for a person.
"""

import logging
from collections.abc import Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from weft.telemetry.console import Console
from weft.telemetry.engine import Engine

_LEVELS = logging.getLevelNamesMapping()
_console = Console("off")
_threshold = logging.INFO
_engine: Engine
_SEVERITIES = frozenset(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))


def configure(console: Console, level: str) -> None:
    """Send records of `level` (a name of `logging`) and above to the collector and `console`."""
    global _console, _threshold  # noqa: PLW0603 - one process, one console
    _console = console
    _threshold = _LEVELS[level.upper()]
    root = logging.getLogger()
    root.handlers = [_FromLogging()]
    root.setLevel(max(_threshold, logging.WARNING))
    logging.captureWarnings(capture=True)


def use(engine: Engine) -> None:
    """Let `engine` send the records."""
    global _engine  # noqa: PLW0603 - one process, one engine
    _engine = engine


def is_enabled(level: str) -> bool:
    """Tell whether records of `level` are written."""
    return _LEVELS[level] >= _threshold


def console() -> Console:
    """Return where records are shown to a person."""
    return _console


def emit(
    level: str,
    name: str,
    message: str,
    facts: Mapping[str, Any],
    *,
    exc: BaseException | None = None,
    ctx: Context | None = None,
    event: str | None = None,
) -> None:
    """Write one record. `ctx` is the context it belongs to (default: the current one)."""
    if _LEVELS[level] < _threshold:
        return
    ctx = otel_context.get_current() if ctx is None else ctx
    facts = {key: value for key, value in facts.items() if value is not None}
    _engine.log(level, name, message, facts, exc, ctx, event)


class Log:
    """A named source of records."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def debug(self, message: str, **facts: Any) -> None:
        """Write what only a developer needs."""
        emit("DEBUG", self.name, message, facts)

    def info(self, message: str, **facts: Any) -> None:
        """Write what happened."""
        emit("INFO", self.name, message, facts)

    def event(self, event: str, message: str, **facts: Any) -> None:
        """Write what happened under a name of its own, by which programs know such records."""
        emit("INFO", self.name, message, facts, event=event)

    def warning(self, message: str, **facts: Any) -> None:
        """Write what may need somebody's eye."""
        emit("WARNING", self.name, message, facts)

    def error(self, message: str, **facts: Any) -> None:
        """Write what went wrong."""
        emit("ERROR", self.name, message, facts)

    def exception(self, message: str, exc: BaseException, **facts: Any) -> None:
        """Write what went wrong, with type, message and stack of `exc`."""
        emit("ERROR", self.name, message, facts, exc=exc)


def get_logger(name: str) -> Log:
    """Return the source of records `name` (usually `__name__`)."""
    return Log(name)


class _FromLogging(logging.Handler):
    """Takes the records of libraries over."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname if record.levelname in _SEVERITIES else "INFO"
        exc = record.exc_info[1] if record.exc_info else None
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        emit(level, record.name, message, {}, exc=exc)
