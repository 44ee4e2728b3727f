"""Loki's query API, for log records that came by OTLP."""

import msgspec

from stack.backends.http import BackendRefused, HttpBackend
from weft.backends.logql import Query
from weft.backends.loki import ENCODING, LogLine, lines, parameters


class _Sample(msgspec.Struct):
    value: tuple[float, str]


class _Vector(msgspec.Struct):
    result: list[_Sample]


class _Instant(msgspec.Struct):
    data: _Vector


class Loki(HttpBackend):
    """A client of Loki's HTTP port."""

    async def count(self, expression: str, *, at: float) -> int:
        """Return the one number that a metric query comes to at a time in epoch seconds."""
        params = {"query": expression, "time": str(int(at * 1_000_000_000))}
        answer = await self.get("/loki/api/v1/query", _Instant, params=params)
        return round(sum(float(sample.value[1]) for sample in answer.data.result))

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
        params = parameters(query, since=since, until=until, limit=limit, newest=newest)
        answer = await self.call("GET", "/loki/api/v1/query_range", params=params, headers=ENCODING)
        answer.expect(200)
        try:
            return lines(answer.body)
        except msgspec.DecodeError as error:
            raise BackendRefused(self.name, 200, f"unexpected body: {error}") from None

    async def of_trace(
        self, trace_id: str, *, since: float, until: float, limit: int = 5000
    ) -> list[LogLine]:
        """Return the records with a trace id, between two times (epoch seconds)."""
        return await self.search(
            Query(trace_id=trace_id), since=since, until=until, limit=limit, newest=False
        )
