"""Spans and log records in words: what is worth telling, and durations."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from weft.backends.logql import label
from weft.backends.loki import LogLine
from weft.backends.trace import Span

SHOWN = (
    "http.response.status_code",
    "db.query.summary",
    "messaging.rabbitmq.destination.routing_key",
    "weft.message.type",
    "messaging.destination.name",
)
"""Attributes whose value speaks for itself, if the span's name does not have it already."""
USUAL = {"weft.message.attempt": "1", "weft.message.outcome": "processed"}
"""What goes without saying."""
_DULL = ("_request_id", "_message_id", "_size", "_scheme", "_port", "_address", "_original")
"""Ends of the names of facts that come last."""
_FRACTION = re.compile(r"-?\d+\.\d{5,}(e-?\d+)?")
_MINUTE = 60
_ROUNDS_TO_ONE = 0.9995
_FEWER_DIGITS_FROM = (9.995, 99.95)


def duration(seconds: float) -> str:
    """Return a duration with three digits and its unit."""
    if seconds >= _MINUTE:
        return f"{int(seconds // _MINUTE)}m {int(seconds % _MINUTE):02}s"
    for factor, unit in ((1, "s"), (1e3, "ms")):
        number = seconds * factor
        if number >= _ROUNDS_TO_ONE:
            digits = sum(number < limit for limit in _FEWER_DIGITS_FROM)
            return f"{number:.{digits}f} {unit}"
    return f"{seconds * 1e6:.0f} us"


def facts(line: LogLine, told: Mapping[str, object] = MappingProxyType({})) -> str:
    """Return the facts of a log line as `name=value`, the telling ones first, less those `told`."""
    known = {(label(key), str(value)) for key, value in told.items()}
    left = [(name, value) for name, value in line.facts.items() if (name, value) not in known]
    left.sort(key=lambda fact: (_rank(fact[0]), fact[0]))
    return " ".join(f"{name}={_short(value)}" for name, value in left)


def _rank(name: str) -> int:
    if name.endswith(_DULL):
        return 2
    return 0 if name.startswith("weft_") else 1


def _short(value: str) -> str:
    """Seconds to the nanosecond are for programs."""
    return f"{float(value):.4g}" if _FRACTION.fullmatch(value) else value


def told(span: Span) -> dict[str, object]:
    """Return what a log line need not repeat under its span, for `facts`."""
    return {**span.attributes, **USUAL}
