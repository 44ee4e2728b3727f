"""What a line of each part's log says: when, how severe, what."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

MOST_CHARACTERS: Final = 16_384
"""Of one record; the rest is cut."""
_SEVERITIES: Final = {"DEBUG": 5, "INFO": 9, "WARNING": 13, "ERROR": 17, "FATAL": 21}
"""OpenTelemetry's severity numbers."""
_WORDS: Final = {
    "debug": "DEBUG",
    "info": "INFO",
    "notice": "INFO",
    "log": "INFO",
    "statement": "INFO",
    "hint": "INFO",
    "detail": "INFO",
    "context": "INFO",
    "warn": "WARNING",
    "warning": "WARNING",
    "error": "ERROR",
    "critical": "ERROR",
    "dpanic": "ERROR",
    "alert": "ERROR",
    "emergency": "FATAL",
    "fatal": "FATAL",
    "panic": "FATAL",
}
_NOT_FACTS: Final = frozenset({"level", "msg", "ts", "time", "caller", "resource", "stacktrace"})


Fact = str | int


@dataclass(frozen=True)
class Record:
    """`at` is epoch seconds, None where the line does not say; `facts` are flat."""

    text: str
    severity: str = "INFO"
    at: float | None = None
    facts: tuple[tuple[str, Fact], ...] = ()
    event: str = ""

    @property
    def severity_number(self) -> int:
        return _SEVERITIES[self.severity]


Parser = Callable[[str], Record | None]
"""None for a line that goes on with the record before it."""


def parser(part: str) -> Parser:
    """Return how the lines of `part` are read."""
    return {"jaeger": _jaeger, "postgres": _postgres, "valkey": _valkey}.get(part, _json)


def joined(record: Record, line: str) -> Record:
    """Return the record with one more line."""
    if len(record.text) >= MOST_CHARACTERS:
        return record
    text = f"{record.text}\n{line}"[:MOST_CHARACTERS]
    return Record(text, record.severity, record.at, record.facts)


_BADGER: Final = re.compile(r"badger (?P<at>\S+ \S+) (?P<level>[A-Z]+): (?P<text>.*)")


def _jaeger(line: str) -> Record | None:
    """Its store has a log format of its own."""
    match = _BADGER.fullmatch(line)
    if match is None:
        return _json(line)
    moment = datetime.strptime(match["at"], "%Y/%m/%d %H:%M:%S").astimezone()
    return Record(match["text"][:MOST_CHARACTERS], _severity(match["level"]), moment.timestamp())


def _json(line: str) -> Record | None:
    """zap, slog, go-kit and RabbitMQ's formatter, also where RabbitMQ's banner had no line end."""
    try:
        said = json.loads(line[max(0, line.find('{"')) :])
    except ValueError:
        return Record(line[:MOST_CHARACTERS])
    if not isinstance(said, dict):
        return Record(line[:MOST_CHARACTERS])
    text = str(said.get("msg") or said.get("message") or line)
    facts = tuple((name, _fact(value)) for name, value in said.items() if name not in _NOT_FACTS)
    at = _instant(said.get("ts") or said.get("time"))
    return Record(text[:MOST_CHARACTERS], _severity(str(said.get("level", "info"))), at, facts)


_POSTGRES: Final = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC \[(?P<pid>\d+)\] (?P<who>\S*) ?"
    r"(?P<level>[A-Z]+\d?):\s+(?P<text>.*)"
)


def _postgres(line: str) -> Record | None:
    match = _POSTGRES.fullmatch(line)
    if match is None:
        return None
    facts = [("pid", match["pid"])]
    if match["who"] not in ("", "@"):
        facts.append(("who", match["who"]))
    at = datetime.strptime(match["at"], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
    return Record(match["text"][:MOST_CHARACTERS], _severity(match["level"]), at, tuple(facts))


_VALKEY: Final = re.compile(
    r"(?P<pid>\d+):[XCSM] (?P<at>\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d+) "
    r"(?P<level>[.*#-]) (?P<text>.*)"
)
_VALKEY_LEVELS: Final = {".": "DEBUG", "-": "INFO", "*": "INFO", "#": "WARNING"}


def _valkey(line: str) -> Record | None:
    match = _VALKEY.fullmatch(line)
    if match is None:
        return None
    moment = datetime.strptime(match["at"], "%d %b %Y %H:%M:%S.%f").astimezone()
    level = _VALKEY_LEVELS[match["level"]]
    return Record(
        match["text"][:MOST_CHARACTERS], level, moment.timestamp(), (("pid", match["pid"]),)
    )


def _severity(word: str) -> str:
    return _WORDS.get(word.lower().rstrip("12345"), "INFO")


def _fact(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return text[:1024]


def _instant(value: Any) -> float | None:
    """Epoch seconds, or RFC 3339 with a blank or a T between date and time."""
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        return None
