"""Log records as Loki's query API gives them, where they came by OTLP."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from weft.backends.logql import Query

_NANOSECONDS = 1_000_000_000
ENCODING = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
"""Headers with which Loki tells structured metadata apart, as `lines` needs it."""
_PLUMBING = {
    "detected_level",
    "flags",
    "observed_timestamp",
    "scope_name",
    "scope_version",
    "service_instance_id",
    "service_version",
    "severity_number",
    "severity_text",
    "span_id",
    "telemetry_sdk_language",
    "telemetry_sdk_name",
    "telemetry_sdk_version",
    "trace_id",
}
_SEVERITIES = {"WARN": "WARNING", "FATAL": "ERROR", "CRITICAL": "ERROR"}


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One record. `nanoseconds` since the epoch; `level` DEBUG, INFO, WARNING, ERROR or empty."""

    nanoseconds: int
    level: str
    service: str
    instance: str
    message: str
    facts: dict[str, str]
    trace_id: str
    span_id: str

    @property
    def headline(self) -> str:
        """The message in one line."""
        return " ".join(self.message.split())

    @property
    def at(self) -> float:
        """Seconds since the epoch."""
        return self.nanoseconds / _NANOSECONDS

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC).astimezone()


class _Stream(msgspec.Struct):
    stream: dict[str, str]
    values: list[list[Any]]
    """Nanoseconds, line, and the categories of the other labels."""


class _Data(msgspec.Struct):
    result: list[_Stream]


class _Found(msgspec.Struct):
    data: _Data


_decoder = msgspec.json.Decoder(_Found)


def parameters(
    query: Query, *, since: float, until: float, limit: int, newest: bool
) -> dict[str, str]:
    """Return the parameters of a search; times are epoch seconds."""
    return {
        "query": query.logql(),
        "start": str(int(since * _NANOSECONDS)),
        "end": str(int(until * _NANOSECONDS)),
        "limit": str(limit),
        "direction": "backward" if newest else "forward",
    }


def lines(body: bytes) -> list[LogLine]:
    """Return the records that Loki answered, oldest first; raise msgspec.DecodeError."""
    streams = _decoder.decode(body).data.result
    found = [_line(stream.stream, value) for stream in streams for value in stream.values]
    return sorted(found, key=lambda line: line.nanoseconds)


def _line(stream: dict[str, str], value: list[Any]) -> LogLine:
    categories = value[2] if len(value) > 2 else {}  # noqa: PLR2004 - time, line, categories
    metadata: dict[str, str] = categories.get("structuredMetadata", {})
    severity = metadata.get("severity_text") or metadata.get("detected_level", "")
    return LogLine(
        nanoseconds=int(value[0]),
        level=_SEVERITIES.get(severity.upper(), severity.upper()),
        service=stream.get("service_name", "unknown"),
        instance=metadata.get("service_instance_id", ""),
        message=str(value[1]),
        facts={key: text for key, text in metadata.items() if key not in _PLUMBING},
        trace_id=metadata.get("trace_id", ""),
        span_id=metadata.get("span_id", ""),
    )
