"""A sample of traces, looked at span by span: each signal is a witness of the others.

A request or message that was handled has a span and a log line that names it, a span names its
parent, and whoever was answered by a peer was served by it. So what is stored tells what else has
to be.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from stack import services, settings
from stack.backends.connect import Backends
from stack.system import System
from weft.backends.logql import Query
from weft.backends.loki import LogLine
from weft.backends.trace import Span, Trace

CALLER = "a caller of "
_DOOR = "gateway"
_SLICES = 20
_PER_SLICE = 200
_AT_ONCE = 4
_WITH_LINES = ("server", "consumer")
_AROUND = 120.0


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of one trace, and what should be and is not: by service.

    `spans` are missing in Jaeger though a child, a caller or a log line tells of them; `lines` are
    missing in Loki.
    """

    trace_id: str
    stored_spans: int = 0
    stored_lines: int = 0
    spans: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return self.stored_spans > 0 and not self.spans and not self.lines


async def choose(backends: Backends, since: float, until: float, size: int) -> list[str]:
    """Return trace ids of requests at the door, drawn from all over the time."""
    step = (until - since) / _SLICES
    found: dict[str, None] = {}
    for number in range(_SLICES):
        begin = since + number * step
        lines = await backends.loki.search(
            Query(service=_DOOR), since=begin, until=begin + step, limit=_PER_SLICE
        )
        found.update({line.trace_id: None for line in lines if line.trace_id})
    return random.sample(list(found), min(size, len(found)))


async def look(
    backends: Backends, trace_ids: Sequence[str], since: float, until: float
) -> list[Looked]:
    """Return what is stored of each; with tail sampling a trace that is not there lacks nothing."""
    door = asyncio.Semaphore(_AT_ONCE)
    ports = peers(backends.system)
    chosen = settings.sampling(services.remembered(backends.system)) == "tail"

    async def one(trace_id: str) -> Looked:
        async with door:
            trace = await backends.jaeger.trace(trace_id)
            begin = trace.start - 1 if trace else since - _AROUND
            end = trace.end + _AROUND if trace else until + _AROUND
            lines = await backends.loki.of_trace(trace_id, since=begin, until=end)
        if trace is None and chosen:  # left out on purpose, as far as anybody can tell
            return Looked(trace_id=trace_id, stored_lines=len(lines))
        return compare(trace_id, trace, lines, ports)

    return list(await asyncio.gather(*map(one, trace_ids)))


def peers(system: System) -> dict[int, str]:
    """Return the name of the service behind each port of the mesh."""
    return {
        services.port(system, service, instance): service.name
        for service in services.SERVICES
        for instance in range(services.MOST_INSTANCES)
    }


def compare(
    trace_id: str, trace: Trace | None, lines: Sequence[LogLine], ports: Mapping[int, str]
) -> Looked:
    """Return what one trace lacks, by the word of its spans and its log lines."""
    if trace is None:
        services = tuple(sorted({line.service for line in lines})) or (_DOOR,)
        return Looked(trace_id=trace_id, stored_lines=len(lines), spans=services)
    spans = {span.span_id for span in trace.spans}
    named = {line.span_id for line in lines}
    told = {span.parent_id: _parents(span) for span in trace.orphans}
    told |= {line.span_id: line.service for line in lines if line.span_id not in spans}
    told.pop("", None)
    # One that a caller misses may be one that is told of by its id as well.
    missing = Counter(told.values()) | Counter(_unserved(trace, ports))
    silent = [
        span.service
        for span in trace.spans
        if span.kind in _WITH_LINES and span.span_id not in named
    ]
    return Looked(
        trace_id=trace_id,
        stored_spans=len(trace.spans),
        stored_lines=len(lines),
        spans=tuple(missing.elements()),
        lines=tuple(silent),
    )


def _parents(orphan: Span) -> str:
    """Whose the missing parent is: of the same service, but for what came from another one."""
    return f"{CALLER}{orphan.service}" if orphan.kind in _WITH_LINES else orphan.service


def _unserved(trace: Trace, ports: Mapping[int, str]) -> Iterator[str]:
    """Give the service of each request that was answered and whose server span is not there."""
    served = {span.parent_id for span in trace.spans if span.kind == "server"}
    for span in trace.spans:
        if span.kind == "client" and span.status is not None and span.span_id not in served:
            service = _peer(span, ports)
            if service is not None:
                yield service


def _peer(span: Span, ports: Mapping[int, str]) -> str | None:
    if "http.request.method" not in span.attributes:
        return None
    return ports.get(int(span.attributes.get("server.port", 0)))
