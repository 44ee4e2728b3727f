"""A trace drawn for a person: the tree of its spans, with their log lines between them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec
from rich.text import Text

from weft.backends.loki import LogLine
from weft.backends.nodes import Elided, Forest, Node, depth, elide, is_handling
from weft.backends.trace import Span, Trace
from weft.backends.words import SHOWN, USUAL, duration, facts, told

_PALETTE = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_magenta")
_SCREENFUL = 40
_MOST_ROWS = 300
_WIDE = 120
_BAR = 20
_LEVELS = {"ERROR": "bold red", "WARNING": "yellow", "INFO": "dim", "DEBUG": "dim"}
_NAMED = ("weft.", "user.id", "db.response.", "http.request.resend_count")
"""Beginnings of the names of attributes that are shown with their name."""
_UNNAMED = ("weft.request.id",)


class Row(msgspec.Struct):
    """One line of the drawing: a span, a log line (of `span`), or several spans in one."""

    guides: str
    span: Span | None = None
    line: LogLine | None = None
    elided: Elided | None = None


class Style(msgspec.Struct):
    """What all rows of a drawing share."""

    start: float
    seconds: float
    colours: dict[str, str]
    bars: bool
    full: bool


def draw(trace: Trace, tree: Forest, *, width: int, full: bool = False) -> Iterator[Text]:
    """Yield the lines of the drawing; a caller that does not want them cut may wrap them.

    More than a screenful of spans is shortened: quiet leaves share a row, and after 300 rows the
    rest is counted. With `full` every span and every fact has its row.
    """
    colours = {name: _PALETTE[i % len(_PALETTE)] for i, name in enumerate(trace.services)}
    style = Style(trace.start, trace.duration, colours, bars=width >= _WIDE, full=full)
    yield from _head(trace, colours)
    short = len(trace.spans) > _SCREENFUL and not full
    roots = [elide(root) for root in tree.roots] if short else tree.roots
    rows = list(_rows(roots, _guides(depth(roots), width)))
    shown = rows if full else rows[:_MOST_ROWS]
    yield from (_render(row, style) for row in shown)
    if len(shown) < len(rows):
        yield Text(f"... {len(rows) - len(shown)} more rows: --full", "bold")
    if tree.stray:
        yield Text("log lines of spans that Jaeger does not have:", "bold")
        yield from (_render(Row("", line=line), style) for line in tree.stray)


def clock(at: float) -> str:
    """Return the local time of day, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]


def level_style(level: str) -> str:
    """Return how a level is coloured."""
    return _LEVELS.get(level, "")


def http_style(status: object) -> str:
    """Return how an HTTP status is coloured."""
    return {"5": "bold red", "4": "yellow", "2": "green"}.get(str(status)[:1], "")


def _head(trace: Trace, colours: dict[str, str]) -> Iterator[Text]:
    day = datetime.fromtimestamp(trace.start, UTC).astimezone().strftime("%Y-%m-%d")
    errors = sum(span.error is not None for span in trace.spans)
    yield Text.assemble("trace ", (trace.trace_id, "bold"))
    yield Text.assemble(
        f"{len(trace.spans)} spans in {duration(trace.duration)}",
        f", started {day} {clock(trace.start)}",
        (f", {errors} failed" if errors else "", "bold red"),
    )
    counts = {name: sum(span.service == name for span in trace.spans) for name in colours}
    yield Text("  ").join(Text(f"{name} {counts[name]}", colours[name]) for name in colours)
    if len(trace.roots) != 1:
        yield Text(f"not whole: {len(trace.roots)} spans have no parent, expected one", "yellow")
    if trace.orphans:
        yield Text(f"not whole: the parent of {len(trace.orphans)} spans is missing", "yellow")
    yield Text("   offset  duration", "dim")


def _guides(levels: int, width: int) -> tuple[str, str, str, str]:
    """Return branch, last branch, line and gap, narrower where a deep tree would eat the width."""
    if levels * 3 <= width * 0.3:
        return "├─ ", "└─ ", "│  ", "   "
    if levels * 2 <= width * 0.45:
        return "├ ", "└ ", "│ ", "  "
    return "├", "└", "│", " "


def _rows(roots: Sequence[Node], guides: tuple[str, str, str, str]) -> Iterator[Row]:
    """A message's handling stands beside its sending, not below it, or a saga grows too wide."""
    branch, last, line, gap = guides
    stack: list[tuple[Node | Elided, str, str]] = [(root, "", "") for root in reversed(roots)]
    while stack:
        node, own, below = stack.pop()
        if isinstance(node, Elided):
            yield Row(own, elided=node)
            continue
        yield Row(own, span=node.span)
        handled = [child for child in node.children if is_handling(node, child)]
        rest = [child for child in node.children if not is_handling(node, child)]
        for log in node.logs:
            yield Row(below + (line if rest else gap), span=node.span, line=log)
        above = below[: -len(gap)]
        stack.extend((child, above + "⇢" + gap[1:], below) for child in reversed(handled))
        for index, child in enumerate(reversed(rest)):
            if index == 0:
                stack.append((child, below + last, below + gap))
            else:
                stack.append((child, below + branch, below + line))


def _render(row: Row, style: Style) -> Text:
    if row.line is not None:
        return _log(row, row.line, style)
    if row.elided is not None:
        spans = row.elided.spans
        end = max(span.end for span in spans)
        return _columns(row, style, spans[0].start, end, _elided(row.elided))
    assert row.span is not None  # noqa: S101 - a row has one of the three
    return _columns(row, style, row.span.start, row.span.end, _span(row.span, style))


def _columns(row: Row, style: Style, start: float, end: float, what: Text) -> Text:
    took = duration(end - start)
    text = Text(f"{duration(start - style.start):>9} {took:>9}  ")
    if style.bars:
        text.append_text(_bar(start - style.start, end - start, style, row))
    return text.append(row.guides, "dim").append_text(what)


def _bar(offset: float, took: float, style: Style, row: Row) -> Text:
    total = style.seconds or 1.0
    left = min(int(offset / total * _BAR), _BAR - 1)
    size = max(1, min(round(took / total * _BAR), _BAR - left))
    colour = style.colours[row.span.service] if row.span else "dim"
    return Text.assemble(" " * left, ("━" * size, colour), " " * (_BAR - left - size), "  ")


def _span(span: Span, style: Style) -> Text:
    text = Text.assemble((span.service, style.colours[span.service]), " ", (span.name, "bold"))
    if span.kind != "internal":
        text.append(f" {span.kind}", "dim")
    for key in SHOWN:
        value = span.attributes.get(key)
        if value is not None and str(value) not in text.plain:
            text.append(f" {value}", _attribute_style(key, value))
    for key, value in span.attributes.items():
        ours = key.startswith(_NAMED) and key not in SHOWN + _UNNAMED
        if ours and USUAL.get(key) != str(value):
            text.append(f" {key}={value}", "dim")
    if span.links and span.parent_id not in span.links:
        text.append(f" linked to {', '.join(link[:8] for link in span.links)}", "dim")
    if span.error is not None:
        text.append(f" failed: {span.error}", "bold red")
    return text


def _attribute_style(key: str, value: object) -> str:
    return http_style(value) if key == "http.response.status_code" else "dim"


def _elided(elided: Elided) -> Text:
    busy = sum(span.duration for span in elided.spans)
    names = ", ".join(dict.fromkeys(span.name for span in elided.spans))
    return Text(f"{len(elided.spans)} spans, {duration(busy)}: {names}", "dim")


def _log(row: Row, line: LogLine, style: Style) -> Text:
    offset = duration(max(0.0, line.at - style.start))
    text = Text(f"{offset:>9} ").append(f"{line.level or '-':>9}  ", level_style(line.level))
    if style.bars:
        text.append(" " * (_BAR + 2))
    text.append(f"{row.guides}· ", "dim").append(line.headline, level_style(line.level))
    more = facts(line, told(row.span) if row.span and not style.full else {})
    return text.append(f" {more}" if more else "", "dim")
