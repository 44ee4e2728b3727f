"""Prometheus' query API: instant values and exemplars."""

import time

import msgspec

from stack.backends.http import HttpBackend


class Sample(msgspec.Struct, frozen=True):
    """One series and its value now."""

    labels: dict[str, str]
    value: float


class Line(msgspec.Struct, frozen=True):
    """One series and its samples as they were taken: (epoch seconds, value), oldest first."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


class Exemplar(msgspec.Struct, frozen=True):
    """One observation with the trace that it was made in."""

    trace_id: str
    value: float
    at: float
    """Seconds since the epoch."""


class _Series(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Vector(msgspec.Struct):
    result: list[_Series]


class _Instant(msgspec.Struct):
    data: _Vector


class _RawLine(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []


class _Matrix(msgspec.Struct):
    result: list[_RawLine]


class _Range(msgspec.Struct):
    data: _Matrix


class _RawExemplar(msgspec.Struct):
    labels: dict[str, str]
    value: str
    timestamp: float


class _ExemplarSeries(msgspec.Struct):
    exemplars: list[_RawExemplar]


class _Exemplars(msgspec.Struct):
    data: list[_ExemplarSeries]


class Prometheus(HttpBackend):
    """A client of Prometheus' HTTP port."""

    async def query(self, promql: str, *, at: float | None = None) -> list[Sample]:
        """Return the instant vector of an expression, now or at a time in epoch seconds."""
        params = {"query": promql} if at is None else {"query": promql, "time": f"{at:.3f}"}
        answer = await self.get("/api/v1/query", _Instant, params=params)
        return [Sample(series.metric, float(series.value[1])) for series in answer.data.result]

    async def lines(self, selector: str, since: float, until: float) -> list[Line]:
        """Return the raw samples between two times (epoch seconds) of all series selected."""
        milliseconds = max(1, round((until - since) * 1000))
        params = {"query": f"{selector}[{milliseconds}ms]", "time": f"{until:.3f}"}
        answer = await self.get("/api/v1/query", _Range, params=params)
        return [
            Line(raw.metric, [(at, float(value)) for at, value in raw.values])
            for raw in answer.data.result
            if raw.values
        ]

    async def exemplars(self, promql: str, *, lookback: float = 600.0) -> list[Exemplar]:
        """Return the exemplars of the last `lookback` seconds that name a trace, newest first."""
        now = time.time()
        params = {"query": promql, "start": f"{now - lookback:.3f}", "end": f"{now + 1:.3f}"}
        answer = await self.get("/api/v1/query_exemplars", _Exemplars, params=params)
        found = [
            Exemplar(raw.labels["trace_id"], float(raw.value), raw.timestamp)
            for series in answer.data
            for raw in series.exemplars
            if raw.labels.get("trace_id")
        ]
        return sorted(found, key=lambda exemplar: -exemplar.at)
