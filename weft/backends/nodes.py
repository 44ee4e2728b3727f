"""A trace as a tree of nodes with log lines in them: what is drawn, and what --json gives."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from weft.backends.loki import LogLine
from weft.backends.trace import Span, Trace

_QUIET_SECONDS = 0.1


class Node(msgspec.Struct):
    """A span with its log lines and its children, both by time."""

    span: Span
    logs: list[LogLine] = []
    children: list["Node | Elided"] = []

    @property
    def quiet(self) -> bool:
        """Whether nothing is lost by not drawing it: a short leaf without error or log line."""
        return (
            not self.children
            and not self.logs
            and self.span.error is None
            and self.span.duration < _QUIET_SECONDS
        )


class Elided(msgspec.Struct):
    """Quiet siblings that are drawn as one row."""

    spans: list[Span]


class Forest(msgspec.Struct):
    """The roots of a trace (one, if it is whole), and the log lines of spans that are not there."""

    roots: list[Node]
    stray: list[LogLine]


def forest(trace: Trace, lines: Sequence[LogLine]) -> Forest:
    """Put every span under its parent and every log line under its span."""
    by_span: dict[str, list[LogLine]] = {}
    for line in lines:
        by_span.setdefault(line.span_id, []).append(line)
    nodes = {span.span_id: Node(span, by_span.pop(span.span_id, [])) for span in trace.spans}
    table = trace.children()
    for span_id, node in nodes.items():
        node.children = [nodes[child.span_id] for child in table.get(span_id, [])]
    roots = [nodes[span.span_id] for span in table.get(None, [])]
    return Forest(roots, [line for group in by_span.values() for line in group])


def elide(node: Node) -> Node:
    """Return a copy in which two or more quiet siblings are one row, where the first one stood."""
    kept = [child for child in node.children if isinstance(child, Node)]
    quiet = [child for child in kept if child.quiet]
    if len(quiet) < 2:  # noqa: PLR2004 - one row for one span saves nothing
        return Node(node.span, node.logs, [elide(child) for child in kept])
    group = Elided([child.span for child in quiet])
    children: list[Node | Elided] = []
    for child in kept:
        if child is quiet[0]:
            children.append(group)
        elif not child.quiet:
            children.append(elide(child))
    return Node(node.span, node.logs, children)


def is_handling(parent: Node, child: "Node | Elided") -> bool:
    """Whether `child` is the handling of the message that `parent` sent."""
    return (
        isinstance(child, Node) and parent.span.kind == "producer" and child.span.kind == "consumer"
    )


def depth(roots: Sequence[Node]) -> int:
    """Return how many columns the drawing needs; handling stands in the column of its sending."""
    deepest = 0
    stack: list[tuple[Node | Elided, int]] = [(root, 1) for root in roots]
    while stack:
        node, level = stack.pop()
        deepest = max(deepest, level)
        if isinstance(node, Node):
            stack.extend((child, level + (not is_handling(node, child))) for child in node.children)
    return deepest


def to_json(trace: Trace, tree: Forest) -> dict[str, Any]:
    """Return the tree in plain types. Times are seconds: `start` since the epoch, else relative."""
    return {
        "trace_id": trace.trace_id,
        "start": trace.start,
        "duration": round(trace.duration, 6),
        "whole": trace.whole,
        "span_count": len(trace.spans),
        "services": trace.services,
        "spans": [_json(node, trace.start) for node in tree.roots],
        "stray_logs": [line_json(line) for line in tree.stray],
    }


def line_json(line: LogLine) -> dict[str, Any]:
    """Return a log record in plain types."""
    return {
        "time": line.time.isoformat(),
        "level": line.level,
        "service": line.service,
        "instance": line.instance,
        "message": line.message,
        "facts": line.facts,
        "trace_id": line.trace_id,
        "span_id": line.span_id,
    }


def _json(node: Node, start: float) -> dict[str, Any]:
    """Without recursion: a trace may be deeper than Python's stack."""
    root = _flat(node, start)
    waiting: list[tuple[Node, dict[str, Any]]] = [(node, root)]
    while waiting:
        parent, written = waiting.pop()
        for child in _nodes(parent):
            flat = _flat(child, start)
            written["children"].append(flat)
            waiting.append((child, flat))
    return root


def _nodes(node: Node) -> Iterator[Node]:
    return (child for child in node.children if isinstance(child, Node))


def _flat(node: Node, start: float) -> dict[str, Any]:
    span = node.span
    return {
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "links": span.links,
        "service": span.service,
        "name": span.name,
        "kind": span.kind,
        "offset": round(span.start - start, 6),
        "duration": round(span.duration, 6),
        "error": span.error,
        "attributes": span.attributes,
        "logs": [line_json(line) for line in node.logs],
        "children": [],
    }
