"""A trace as rows from top to bottom: spans, and log lines where they were written."""

from collections.abc import Iterator

import msgspec

from weft.backends.loki import LogLine
from weft.backends.nodes import Forest, Node, is_handling
from weft.backends.trace import Span


class SpanRow(msgspec.Struct, frozen=True):
    """A span. `quiet`: a short leaf without error or log line, that may be folded away."""

    depth: int
    span: Span
    quiet: bool


class LineRow(msgspec.Struct, frozen=True):
    """A log line; `span` is the one that it was written in, None if that is not stored."""

    depth: int
    line: LogLine
    span: Span | None


Row = SpanRow | LineRow


def rows(tree: Forest) -> Iterator[Row]:
    """Yield the rows: what happened within a span stands below it, in the order of its beginning.

    The handling of a message stands at the depth of its sending, so that a chain of messages runs
    down, not to the right. Without recursion: a trace may be deeper than Python's stack.
    """
    waiting: list[tuple[int, Node | LogLine, Span | None]]
    waiting = [(0, root, None) for root in reversed(tree.roots)]
    while waiting:
        depth, each, parent = waiting.pop()
        if isinstance(each, LogLine):
            yield LineRow(depth, each, parent)
            continue
        yield SpanRow(depth, each.span, each.quiet)
        for inner in reversed(_within(each)):
            level = depth if isinstance(inner, Node) and is_handling(each, inner) else depth + 1
            waiting.append((level, inner, each.span))
    yield from (LineRow(0, line, None) for line in tree.stray)


def _within(node: Node) -> list[Node | LogLine]:
    children = [child for child in node.children if isinstance(child, Node)]
    return sorted([*children, *node.logs], key=_begins)


def _begins(each: Node | LogLine) -> float:
    return each.at if isinstance(each, LogLine) else each.span.start
