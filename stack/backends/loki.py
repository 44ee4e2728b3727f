"""Loki's query API, for log records that came by OTLP."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from stack.backends.http import HttpBackend
from stack.backends.logql import Query

_NANOSECONDS = 1_000_000_000
_ENCODING = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
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


class Loki(HttpBackend):
    """A client of Loki's HTTP port."""

    async def search(
        self,
        query: Query,
        *,
        since: float,
        until: float,
        limit: int = 1000,
        newest: bool = True,
    ) -> list[LogLine]:
        """Return at most `limit` records between two times (epoch seconds), oldest first.

        Where there are more, the newest ones, or with `newest=False` the oldest ones.
        """
        params = {
            "query": query.logql(),
            "start": str(int(since * _NANOSECONDS)),
            "end": str(int(until * _NANOSECONDS)),
            "limit": str(limit),
            "direction": "backward" if newest else "forward",
        }
        answer = await self.call(
            "GET", "/loki/api/v1/query_range", params=params, headers=_ENCODING
        )
        found = answer.expect(200).decode(_Found)
        lines = [
            _line(stream.stream, value) for stream in found.data.result for value in stream.values
        ]
        return sorted(lines, key=lambda line: line.nanoseconds)

    async def of_trace(
        self, trace_id: str, *, since: float, until: float, limit: int = 5000
    ) -> list[LogLine]:
        """Return the records with a trace id, between two times (epoch seconds)."""
        return await self.search(
            Query(trace_id=trace_id), since=since, until=until, limit=limit, newest=False
        )


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
