"""What Jaeger and Loki keep of a trace, read only: bounded in size, in time and in number."""

import asyncio
import time
from typing import Final

import msgspec

from weft.backends import jaeger, loki
from weft.backends.logql import Query
from weft.backends.loki import LogLine
from weft.backends.trace import Trace
from weft.errors import Unavailable
from weft.http import ClientResponse, HttpClient
from weft.telemetry.fingerprint import ATTRIBUTE as FINGERPRINT

DEADLINE: Final = 5.0
"""Seconds for a backend's answer."""
MOST_BYTES: Final = 16 << 20
"""Of an answer: about 10,000 spans."""
MOST_LINES: Final = 5000
SKEW: Final = 60.0
"""Seconds around a trace in which its log lines are looked for."""
_OK: Final = 200
_NOT_FOUND: Final = 404


class Stored:
    """Component. Asks the two backends; neither has to be there for the gateway to be ready."""

    name = "stored telemetry"

    def __init__(self, jaeger_url: str, loki_url: str) -> None:
        self._jaeger = _client("jaeger", jaeger_url)
        self._loki = _client("loki", loki_url)

    async def start(self) -> None:
        """Make the pools of connections; the backends need not be there."""
        await self._jaeger.start()
        await self._loki.start()

    async def check(self) -> None:
        """Say nothing against a backend being away: orders do not need it."""

    async def stop(self) -> None:
        """Close the connections."""
        await self._jaeger.stop()
        await self._loki.stop()

    async def trace(self, trace_id: str) -> Trace | None:
        """Return what is stored of a trace, None if nothing is; raise Unavailable."""
        answer = await self._jaeger.request(
            "GET", "/api/traces/{trace_id}", path={"trace_id": trace_id}, query={"raw": "true"}
        )
        if answer.status == _NOT_FOUND:
            return None
        _expect_ok("jaeger", answer)
        try:
            found = await asyncio.to_thread(jaeger.traces, answer.body)
        except msgspec.DecodeError:
            raise Unavailable("jaeger", "its answer is no trace") from None
        return found[0] if found else None

    async def lines(self, trace: Trace) -> list[LogLine]:
        """Return the log records of a trace, oldest first; raise Unavailable."""
        return await self._lines(
            loki.parameters(
                Query(trace_id=trace.trace_id),
                since=trace.start - SKEW,
                until=trace.end + SKEW,
                limit=MOST_LINES,
                newest=False,
            )
        )

    async def errors(self, seconds: float) -> list[LogLine]:
        """Return the newest records of errors of so many seconds, MOST_LINES at most, oldest first.

        Raises Unavailable. They come without stack traces, which would be too much.
        """
        now = time.time()
        return await self._lines(
            loki.parameters(
                Query(having=(FINGERPRINT,), without=("exception.stacktrace",)),
                since=now - seconds,
                until=now + 1,
                limit=MOST_LINES,
                newest=True,
            )
        )

    async def _lines(self, asked: dict[str, str]) -> list[LogLine]:
        answer = await self._loki.request(
            "GET", "/loki/api/v1/query_range", query=asked, headers=loki.ENCODING
        )
        _expect_ok("loki", answer)
        try:
            return await asyncio.to_thread(loki.lines, answer.body)
        except (msgspec.DecodeError, ValueError):
            raise Unavailable("loki", "its answer is no list of log records") from None


def _client(name: str, url: str) -> HttpClient:
    return HttpClient(url, name=name, timeout=DEADLINE, retries=1, max_response=MOST_BYTES)


def _expect_ok(name: str, answer: ClientResponse) -> None:
    if answer.status != _OK:
        raise Unavailable(name, f"it answered {answer.status}")
