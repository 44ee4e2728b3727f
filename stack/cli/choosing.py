"""`weft traces`: recent traces, to choose one from."""

import asyncio
import time
from collections.abc import Iterator

import msgspec
from rich.text import Text

from stack.backends.connect import Backends
from stack.cli.output import Printer
from stack.cli.tree import clock, http_style
from weft.backends.trace import Span, Trace
from weft.backends.words import duration

_SCANNED = 100
_FRONT = "gateway"
_CODES = {
    "4xx": (400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 422, 423, 429),
    "5xx": (500, 501, 502, 503, 504),
}
ERROR = "error"


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What the traces have in common. `slow` and `since` are seconds."""

    service: str | None
    slow: float
    route: str | None
    status: str | None
    facts: dict[str, str] = {}
    since: float
    limit: int

    def tags(self) -> Iterator[dict[str, str]]:
        """Yield the attribute searches whose results together hold every match."""
        base = {**self.facts, **({"http.route": self.route} if self.route else {})}
        if self.status == ERROR:
            yield {**base, "error": "true"}
        elif self.status:
            for code in _CODES.get(self.status, (self.status,)):
                yield {**base, "http.response.status_code": str(code)}
        else:
            yield base

    def matches(self, trace: Trace) -> bool:
        """Whether it was slow enough, and one span has all the rest at once."""
        slow = not self.slow or trace.duration >= self.slow
        return slow and any(self._fits(span) for span in trace.spans)

    def _fits(self, span: Span) -> bool:
        if self.service and span.service != self.service:
            return False
        if self.route and span.attributes.get("http.route") != self.route:
            return False
        if any(str(span.attributes.get(name)) != text for name, text in self.facts.items()):
            return False
        if self.status == ERROR:
            return span.error is not None
        if self.status:
            codes = _CODES.get(self.status, (self.status,))
            return str(span.status) in map(str, codes)
        return True


def is_status(text: str) -> bool:
    """Whether `text` is something that --status takes."""
    return text == ERROR or text in _CODES or (len(text) == 3 and text.isdigit())  # noqa: PLR2004


async def traces(backends: Backends, wanted: Filter, *, as_json: bool) -> int:
    """Print the newest traces that fit."""
    found = await _find(backends, wanted)
    printer = Printer()
    if as_json:
        printer.json([_json(trace) for trace in found])
    elif found:
        head = f"{'started':<14}{'trace':<34}{'took':>9} {'spans':>6}  status root span"
        printer.line(Text(head, "dim"))
        for trace in found:
            printer.line(_row(trace))
        printer.line(Text("see one: weft trace TRACE_ID", "dim"))
    else:
        printer.line(Text("no trace fits", "dim"))
    return 0


async def _find(backends: Backends, wanted: Filter) -> list[Trace]:
    """Jaeger answers with whole traces, so no search asks for more than it may need."""
    find, since = backends.jaeger.find, time.time() - wanted.since
    services = [wanted.service] if wanted.service else await backends.jaeger.services()
    several = wanted.route, wanted.status, wanted.slow, wanted.facts
    limit = wanted.limit if sum(map(bool, several)) < 2 else max(wanted.limit, _SCANNED)  # noqa: PLR2004 - conditions that Jaeger does not join in one span
    searches = [
        find(service, since=since, tags=tags, min_span=wanted.slow, limit=limit)
        for service in services
        for tags in wanted.tags()
    ]
    if wanted.slow:
        front = wanted.service or _FRONT
        searches += [find(front, since=since, tags=tags, limit=_SCANNED) for tags in wanted.tags()]
    batches = await asyncio.gather(*searches)
    unique = {trace.trace_id: trace for batch in batches for trace in batch}
    fitting = [trace for trace in unique.values() if wanted.matches(trace)]
    return sorted(fitting, key=lambda trace: -trace.start)[: wanted.limit]


def _row(trace: Trace) -> Text:
    root = trace.root
    failed = sum(span.error is not None for span in trace.spans)
    others = [name for name in trace.services if name != root.service]
    row = Text(f"{clock(trace.start)}  ").append(trace.trace_id, "bold")
    row.append(f"  {duration(trace.duration):>9} {len(trace.spans):>6}  ")
    row.append(f"{root.status or '-':<7}", http_style(root.status)).append(root.service, "cyan")
    row.append(f" {root.name}" + ("" if trace.roots else " (the root is missing)"))
    if failed:
        row.append(f" {failed} failed", "bold red")
    return row.append(f" + {' '.join(others)}" if others else "", "dim")


def _json(trace: Trace) -> dict[str, object]:
    root = trace.root
    return {
        "trace_id": trace.trace_id,
        "start": trace.start,
        "duration": round(trace.duration, 6),
        "service": root.service,
        "name": root.name,
        "status": root.status,
        "span_count": len(trace.spans),
        "failed_spans": sum(span.error is not None for span in trace.spans),
        "services": trace.services,
        "whole": trace.whole,
    }
