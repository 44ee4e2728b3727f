"""Jaeger's query API: traces by id and by what their spans say, and the latencies it computes.

The paths are those of Jaeger's own web pages: the newer /api/v3 cannot search by attribute.
"""

import asyncio
import time
from typing import Any

import msgspec

from stack.backends.http import Answer, BackendRefused, HttpBackend
from weft.backends.jaeger import traces
from weft.backends.trace import Trace

_QUIET = 1.5
_POLL = 0.25
_MICROSECONDS = 1_000_000
_NOT_FOUND = 404


class _Services(msgspec.Struct):
    data: list[str] | None = None


class Point(msgspec.Struct, rename="camel"):
    """One point of a metric; `value` is None where there was no traffic."""

    gauge_value: dict[str, Any] = {}
    timestamp: str = ""

    @property
    def value(self) -> float | None:
        number = self.gauge_value.get("doubleValue")
        return None if number in (None, "NaN") else float(number)


class _Series(msgspec.Struct, rename="camel"):
    metric_points: list[Point] = []


class _Metrics(msgspec.Struct):
    metrics: list[_Series] = []


class Jaeger(HttpBackend):
    """A client of Jaeger's query port."""

    async def services(self) -> list[str]:
        """Return the names of all services that have spans."""
        return (await self.get("/api/services", _Services)).data or []

    async def trace(self, trace_id: str) -> Trace | None:
        """Return what is stored of a trace (32 hex digits); None if nothing is."""
        answer = await self.call("GET", f"/api/traces/{trace_id}", params={"raw": "true"})
        if answer.status == _NOT_FOUND:
            return None
        found = _traces(answer)
        return found[0] if found else None

    async def settled(self, trace_id: str, *, deadline: float = 10.0) -> Trace | None:
        """Return a trace once it is whole and has stopped growing.

        After `deadline` seconds return what is there, whole or not; None if that is nothing.
        """
        latest: Trace | None = None
        end = changed = time.monotonic()
        end += deadline
        while time.monotonic() < end:
            trace = await self.trace(trace_id)
            if trace is not None:
                if latest is None or len(trace.spans) != len(latest.spans):
                    latest, changed = trace, time.monotonic()
                if trace.whole and _quiet(trace, changed):
                    break
            await asyncio.sleep(_POLL)
        return latest

    async def find(
        self,
        service: str,
        *,
        since: float,
        until: float | None = None,
        tags: dict[str, str] | None = None,
        min_span: float = 0.0,
        limit: int = 20,
    ) -> list[Trace]:
        """Return the newest traces with spans of `service` between `since` and `until` (epoch s).

        Every one of `tags` is on some span of that service in the trace; some span, of any
        service, took at least `min_span` seconds.
        """
        params = {
            "service": service,
            "start": str(int(since * _MICROSECONDS)),
            "end": str(int((until or time.time() + 1) * _MICROSECONDS)),
            "limit": str(limit),
            "raw": "true",
        }
        if tags:
            params["tags"] = msgspec.json.encode(tags).decode()
        if min_span > 0:
            params["minDuration"] = f"{int(min_span * _MICROSECONDS)}us"
        return _traces(await self.call("GET", "/api/traces", params=params))

    async def latencies(
        self, service: str, *, quantile: float = 0.95, lookback: float = 600.0, kind: str = "server"
    ) -> list[Point]:
        """Return the quantile of a service's span durations over `lookback` s, in milliseconds."""
        params = {
            "service": service,
            "quantile": str(quantile),
            "lookback": str(int(lookback * 1000)),
            "step": "5000",
            "ratePer": "60000",
            "spanKind": kind,
        }
        answer = await self.get("/api/metrics/latencies", _Metrics, params=params)
        return [point for series in answer.metrics for point in series.metric_points]


def _quiet(trace: Trace, changed: float) -> bool:
    """Whether no more spans are to be expected: they leave a service 1 s after their end."""
    return time.monotonic() - changed > _QUIET or time.time() - trace.end > 2 * _QUIET


def _traces(answer: Answer) -> list[Trace]:
    answer.expect(200)
    try:
        return traces(answer.body)
    except msgspec.DecodeError as error:
        raise BackendRefused(answer.name, answer.status, f"unexpected body: {error}") from None
