"""`weft search`: log lines from Loki."""

import asyncio
import re
import time
import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from rich.text import Text

from stack.backends.connect import Backends
from stack.cli.output import FAILED, USAGE, Printer, warn
from stack.cli.tracing import placed_after
from stack.cli.tree import clock, level_style
from weft.backends.logql import Query
from weft.backends.loki import LogLine
from weft.backends.nodes import line_json
from weft.backends.words import facts

_POLL = 1.0
_LATE = 15.0
"""Seconds that a record may be on its way to Loki while it is still shown by --follow."""
_REMEMBERED = 20_000
_KEPT = 7 * 86400.0
"""For how many seconds Loki keeps what it has (loki/config.yaml)."""
_SKEW = 60.0
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_MOST = 5000
"""What Loki gives at once, as it is configured by default."""


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How far the search goes: one order, so many seconds back, so many lines."""

    order_id: str | None
    seconds: float
    limit: int


async def search(
    backends: Backends, query: Query, *, reach: Reach, as_json: bool, follow: bool
) -> int:
    """Print what is found, oldest first, and with `follow` what comes, until interrupted."""
    printer = Printer()
    now = time.time()
    since = now - reach.seconds
    if reach.order_id is not None:
        query = await _about(backends, query, reach.order_id, since)
    found = await backends.loki.search(query, since=since, until=now + 1, limit=reach.limit)
    for line in found:
        _print(printer, line, as_json=as_json)
    if follow:
        with suppress(asyncio.CancelledError):  # Ctrl-C is how it ends
            await _follow(backends, query, found, printer, as_json=as_json)
    elif not found and not as_json:
        printer.line(Text("nothing found", "dim"))
    return 0


async def of_one(
    backends: Backends, *, trace_id: str | None, order_id: str | None, services: Sequence[str]
) -> int:
    """Print all lines of a trace or an order, oldest first; of `services`, if any are named."""
    wanted = (trace_id or order_id or "").strip().lower()
    try:
        since, until = await _when(backends, wanted, is_order=trace_id is None)
    except ValueError:
        warn("expected a trace's id (32 hex digits), or an order's (a UUID)")
        return USAGE
    query = Query(trace_id=wanted)
    if trace_id is None:
        query = await _about(backends, Query(), wanted, since)
    found = await backends.loki.search(query, since=since, until=until, limit=_MOST, newest=False)
    printer = Printer()
    shown = [line for line in found if not services or line.service in services]
    for line in shown:
        _print(printer, line, as_json=False)
    if not shown:
        warn("Loki has no such lines")
    return 0 if shown else FAILED


async def _when(backends: Backends, wanted: str, *, is_order: bool) -> tuple[float, float]:
    """Return from when to when lines may be there, so that Loki need not read all it has.

    Raises ValueError for what is no id.
    """
    now = time.time()
    if is_order:
        return placed_after(uuid.UUID(wanted)), now + 1
    if not _TRACE_ID.fullmatch(wanted):
        raise ValueError(wanted)
    trace = await backends.jaeger.trace(wanted)
    if trace is None:
        return now - _KEPT, now + 1
    return trace.start - _SKEW, trace.end + _SKEW


async def _about(backends: Backends, query: Query, order_id: str, since: float) -> Query:
    """Few lines name an order; the first that does is of the trace that all the others have."""
    named = {"weft.order.id": order_id.strip().lower()}
    first = await backends.loki.search(
        Query(facts=named), since=since, until=time.time() + 1, limit=1, newest=False
    )
    trace = {"trace_id": first[0].trace_id} if first and first[0].trace_id else {}
    return msgspec.structs.replace(query, either={**named, **trace})


async def _follow(
    backends: Backends, query: Query, found: list[LogLine], printer: Printer, *, as_json: bool
) -> None:
    order = deque((_key(line) for line in found), maxlen=_REMEMBERED)
    seen = set(order)
    while True:
        await asyncio.sleep(_POLL)
        now = time.time()
        lines = await backends.loki.search(query, since=now - _LATE, until=now + 1, limit=_MOST)
        for line in lines:
            key = _key(line)
            if key in seen:
                continue
            if len(order) == _REMEMBERED:
                seen.discard(order[0])
            order.append(key)
            seen.add(key)
            _print(printer, line, as_json=as_json)


def _key(line: LogLine) -> bytes:
    return msgspec.json.encode(line, order="sorted")


def _print(printer: Printer, line: LogLine, *, as_json: bool) -> None:
    if as_json:
        printer.json(line_json(line))
        return
    text = Text.assemble(
        f"{clock(line.at)} ",
        (f"{line.level or '-':<7} ", level_style(line.level)),
        (f"{line.service:<13} ", "cyan"),
        (line.headline, "bold"),
        (f" {facts(line)}", "dim"),
    )
    if line.trace_id:
        text.append(f" trace={line.trace_id}", "blue")
    printer.line(text, cut=False)
