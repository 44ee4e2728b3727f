"""A trace as Jaeger stores it: spans, who called whom, and what is missing."""

from collections.abc import Iterator
from typing import Any

import msgspec


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One span. Times are seconds: `start` since the epoch, `duration` from start to end."""

    trace_id: str
    span_id: str
    parent_id: str | None
    links: list[str]
    """Span ids, within this trace or another, that the span is linked to."""
    service: str
    name: str
    kind: str
    """server, client, producer, consumer or internal"""
    start: float
    duration: float
    error: str | None
    """Type of the error and what it said; None if the span did not fail."""
    attributes: dict[str, Any]

    @property
    def end(self) -> float:
        return self.start + self.duration

    @property
    def status(self) -> int | None:
        """The HTTP status that the span recorded."""
        value = self.attributes.get("http.response.status_code")
        return int(value) if value is not None else None


class Trace(msgspec.Struct, frozen=True):
    """All stored spans of one trace, by start."""

    trace_id: str
    spans: list[Span]

    @property
    def start(self) -> float:
        return min(span.start for span in self.spans)

    @property
    def end(self) -> float:
        return max(span.end for span in self.spans)

    @property
    def duration(self) -> float:
        """Seconds from the first start to the last end, asynchronous work included."""
        return self.end - self.start

    @property
    def services(self) -> list[str]:
        """Names of the services, in the order of their first span."""
        return list(dict.fromkeys(span.service for span in self.spans))

    @property
    def roots(self) -> list[Span]:
        """Spans without a parent."""
        return [span for span in self.spans if span.parent_id is None]

    @property
    def orphans(self) -> list[Span]:
        """Spans whose parent is not stored (yet)."""
        known = {span.span_id for span in self.spans}
        return [span for span in self.spans if span.parent_id and span.parent_id not in known]

    @property
    def whole(self) -> bool:
        """One root and no orphan."""
        return len(self.roots) == 1 and not self.orphans

    @property
    def root(self) -> Span:
        """The root span, or the first span if the root is not stored (yet)."""
        return (self.roots or self.spans)[0]

    def children(self) -> dict[str | None, list[Span]]:
        """Return the spans by the id of their parent; roots and orphans stand under None."""
        known = {span.span_id for span in self.spans}
        table: dict[str | None, list[Span]] = {}
        for span in self.spans:
            parent = span.parent_id if span.parent_id in known else None
            table.setdefault(parent, []).append(span)
        return table

    def walk(self) -> Iterator[tuple[int, Span]]:
        """Yield each span with its depth, parents before children, siblings by start."""
        table = self.children()
        stack = [(0, span) for span in reversed(table.get(None, []))]
        while stack:
            depth, span = stack.pop()
            yield depth, span
            stack.extend((depth + 1, child) for child in reversed(table.get(span.span_id, [])))
