"""The critical path of a trace: of each moment from its start to its end, what was waited for."""

import math
from collections.abc import Iterator

import msgspec

from weft.backends.trace import Span, Trace


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the path. Times are seconds: `start` since the epoch.

    `waiting`: nothing was at work; what came next is `span`, the handling of a message that stood
    in its queue, or the sending of one that stood in an outbox. Else `span` itself was at work.
    """

    span: Span
    start: float
    duration: float
    waiting: bool

    @property
    def end(self) -> float:
        return self.start + self.duration


def critical_path(trace: Trace) -> list[Step]:
    """Return the steps by time; they follow on each other and cover the whole trace.

    A span that outlives its parent belongs to the path like any other, since messages are handled
    after their sender is done. Without recursion: a trace may be deeper than Python's stack.
    """
    children, ends = trace.children(), _ends(trace)
    path = _Path(trace.end)
    frames: list[tuple[Span | None, Iterator[Span]]]
    frames = [(None, _last_first(children.get(None, []), ends))]
    while frames:
        span, rest = frames[-1]
        child = next((one for one in rest if ends[one.span_id] <= path.cursor), None)
        if child is None:
            path.back_to(span.start if span else trace.start, span)
            path.leave(span)
            frames.pop()
        else:
            path.back_to(ends[child.span_id], span)
            frames.append((child, _last_first(children.get(child.span_id, []), ends)))
    return path.steps()


class _Path:
    """The path as it is found, from its end."""

    def __init__(self, end: float) -> None:
        self.cursor = end
        self._next: Span | None = None
        self._found: list[Step] = []

    def back_to(self, start: float, span: Span | None) -> None:
        """Add what is between `start` and the cursor: before, during and after the span's work.

        Clocks differ: a span may seem to have caused what was before it.
        """
        own = span.end if span is not None else -math.inf
        if self._next is not None:
            self._add(self._next, max(start, own), waiting=True)
        if span is not None:
            self._add(span, max(start, span.start), waiting=False)
            self._add(span, start, waiting=True)

    def leave(self, span: Span | None) -> None:
        """Go on with what was before `span`."""
        self._next = span

    def steps(self) -> list[Step]:
        return self._found[::-1]

    def _add(self, span: Span, start: float, *, waiting: bool) -> None:
        if start < self.cursor:
            took = self.cursor - start
            self._found.append(Step(span=span, start=start, duration=took, waiting=waiting))
            self.cursor = start


def _ends(trace: Trace) -> dict[str, float]:
    """Return when each span, or what it caused, came to its end, by span id."""
    ends = {span.span_id: span.end for span in trace.spans}
    for _, span in reversed(list(trace.walk())):
        if span.parent_id in ends:
            ends[span.parent_id] = max(ends[span.parent_id], ends[span.span_id])
    return ends


def _last_first(spans: list[Span], ends: dict[str, float]) -> Iterator[Span]:
    return iter(sorted(spans, key=lambda span: -ends[span.span_id]))
