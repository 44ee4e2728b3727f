"""`weft trace`: one trace, whole, with its log lines."""

import asyncio
import re
import time
import uuid

from stack.backends.connect import Backends
from stack.backends.http import BackendError
from stack.cli import path
from stack.cli.output import FAILED, USAGE, Printer, warn
from stack.cli.tree import draw
from weft.backends.critical import critical_path
from weft.backends.loki import LogLine
from weft.backends.nodes import forest, to_json
from weft.backends.trace import Trace

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_ORDER_SERVICE = "orders"
_ORDER_ATTRIBUTE = "weft.order.id"
_DEADLINE = 10.0
_POLL = 0.5
_SKEW = 60.0
_STORED = 48 * 3600.0


async def trace(
    backends: Backends, wanted: str, *, full: bool, as_json: bool, critical: bool = False
) -> int:
    """Print the trace of an order, or with an id of its own; return the exit code."""
    wanted = wanted.strip().lower()
    begun = time.monotonic()
    if _TRACE_ID.fullmatch(wanted):
        trace_id: str | None = wanted
    else:
        try:
            order_id = uuid.UUID(wanted)
        except ValueError:
            warn("expected an order's id (a UUID) or a trace's (32 hex digits)")
            return USAGE
        trace_id = await _of_order(backends, order_id)
    remaining = max(_POLL, _DEADLINE - (time.monotonic() - begun))
    found = await backends.jaeger.settled(trace_id, deadline=remaining) if trace_id else None
    if found is None:
        warn(f"jaeger has no trace of {wanted}, {_DEADLINE:g} s after it was first asked")
        return FAILED
    if critical:
        return _show_path(found, full=full, as_json=as_json)
    return await _show(backends, found, full=full, as_json=as_json)


def _show_path(found: Trace, *, full: bool, as_json: bool) -> int:
    steps = critical_path(found)
    printer = Printer()
    if as_json:
        printer.json(path.to_json(found, steps))
        return 0
    for row in path.draw(found, steps, full=full):
        printer.line(row, cut=not full)
    return 0


async def _show(backends: Backends, found: Trace, *, full: bool, as_json: bool) -> int:
    lines, failure = await _lines(backends, found)
    tree = forest(found, lines)
    printer = Printer()
    if as_json:
        printer.json(to_json(found, tree))
    else:
        for row in draw(found, tree, width=printer.width, full=full):
            printer.line(row, cut=not full)
    if failure:
        warn(f"without log lines: {failure}")
        return FAILED
    return 0


async def _lines(backends: Backends, found: Trace) -> tuple[list[LogLine], BackendError | None]:
    """A trace is worth showing when only Loki is away."""
    since, until = found.start - _SKEW, found.end + _SKEW
    try:
        return await backends.loki.of_trace(found.trace_id, since=since, until=until), None
    except BackendError as error:
        return [], error


async def _of_order(backends: Backends, order_id: uuid.UUID) -> str | None:
    """Return the trace that the order was placed in: the first of those that name it."""
    since, until = _when(order_id)
    end = time.monotonic() + _DEADLINE
    tags = {_ORDER_ATTRIBUTE: str(order_id)}
    while time.monotonic() < end:
        traces = await backends.jaeger.find(
            _ORDER_SERVICE, since=since, until=until, tags=tags, limit=1000
        )
        if traces:
            return min(traces, key=lambda found: found.start).trace_id
        await asyncio.sleep(_POLL)
    return None


def placed_after(order_id: uuid.UUID) -> float:
    """Return an epoch time, in seconds, shortly before an order was placed."""
    return _when(order_id)[0]


def _when(order_id: uuid.UUID) -> tuple[float, float]:
    """Return when the order was placed, within a minute: a UUIDv7 begins with its time."""
    if order_id.version == 7:  # noqa: PLR2004 - the version of RFC 9562 with a time
        at = (order_id.int >> 80) / 1000
        return at - _SKEW, at + _SKEW
    return time.time() - _STORED, time.time() + _SKEW
