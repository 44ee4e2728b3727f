"""The page of one trace: its waterfall, with its log lines between."""

from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import msgspec

from services.gateway.ops.markup import Markup, element
from services.gateway.ops.page import clock, notice, page
from services.gateway.ops.waterfall import LineRow, Row, SpanRow, rows
from weft.backends.nodes import Forest
from weft.backends.trace import Span, Trace
from weft.backends.words import SHOWN, duration, facts, told

MOST_ROWS: Final = 3000
"""Rows of a page; a program is given all."""
_MANY: Final = 40
"""Spans from which on the quiet ones are folded away at first."""
_DEEPEST: Final = 16
_COLOURS: Final = 8
_ORDER: Final = "weft.order.id"


class _Drawing(msgspec.Struct, frozen=True):
    """What all rows share. `seconds` is the width of the whole."""

    start: float
    seconds: float
    colours: dict[str, int]


def trace_page(trace: Trace, tree: Forest, *, missing: str = "", subject: str = "") -> bytes:
    """Return the page; `missing` says why it has no log lines, "" if it has."""
    drawing = _Drawing(
        trace.start,
        trace.duration or 1e-6,
        {name: index % _COLOURS for index, name in enumerate(trace.services)},
    )
    drawn = list(islice(rows(tree), MOST_ROWS + 1))
    shown = drawn[:MOST_ROWS]
    quiet = sum(isinstance(row, SpanRow) and row.quiet for row in shown)
    return page(
        trace.root.name,
        _facts(trace),
        notice(f"Log lines are missing: {missing}") if missing else None,
        None if trace.whole else _growing(),
        element("ul", *_legend(drawing), class_="legend", role="list"),
        element("p", "Choose a span to see its attributes.", class_="hint"),
        *_fold(quiet, len(trace.spans)),
        element("ol", *(_row(row, drawing) for row in shown), class_="waterfall", role="list"),
        notice(f"Only the first {MOST_ROWS} rows are shown.") if len(drawn) > MOST_ROWS else None,
        subject=subject,
    )


def _facts(trace: Trace) -> Markup:
    begun = datetime.fromtimestamp(trace.start, UTC)
    orders = dict.fromkeys(
        str(span.attributes[_ORDER]) for span in trace.spans if _ORDER in span.attributes
    )
    failed = sum(span.error is not None for span in trace.spans)
    pairs: list[tuple[str, object]] = [
        ("Trace", element("code", trace.trace_id)),
        ("Begun", element("span", begun.strftime("%Y-%m-%d "), clock(begun), " UTC")),
        ("Took", duration(trace.duration)),
        ("Spans", f"{len(trace.spans)} of {len(trace.services)} services"),
        ("Log lines", element("a", "by themselves", href=f"/ops/traces/{trace.trace_id}/logs")),
    ]
    if orders:
        pairs.append(("Order", element("code", ", ".join(list(orders)[:3]))))
    if failed:
        pairs.append(("Failed", element("span", f"{failed} spans", class_="bad")))
    cells = (element("div", element("dt", name), element("dd", value)) for name, value in pairs)
    return element("dl", *cells, class_="facts")


def _growing() -> Markup:
    text = "Not all of it is stored: it is still growing, or some of its spans are lost. "
    return notice(text, element("a", "Load again", href=""))


def _legend(drawing: _Drawing) -> list[Markup]:
    return [
        element("li", element("span", class_=f"dot c{colour}"), name)
        for name, colour in drawing.colours.items()
    ]


def _fold(quiet: int, spans: int) -> list[Markup]:
    """A box to tick, right before the waterfall: the style sheet does the rest."""
    if not quiet:
        return []
    box = element("input", type="checkbox", id="quiet", checked=spans <= _MANY)
    text = f"Show short spans without log lines ({quiet})"
    return [box, element("label", text, for_="quiet", class_="quiet-label")]


def _row(row: Row, drawing: _Drawing) -> Markup:
    return _span(row, drawing) if isinstance(row, SpanRow) else log_row(row, drawing.start)


def _span(row: SpanRow, drawing: _Drawing) -> Markup:
    span = row.span
    colour = drawing.colours[span.service]
    what = element(
        "span",
        element("span", f"level {row.depth + 1}: ", class_="unseen"),
        element("span", class_=f"dot c{colour}"),
        element("span", span.service, class_="service"),
        " ",
        element("b", span.name),
        element("span", *_short(span), class_="more"),
        element("span", f" failed: {span.error}", class_="bad") if span.error is not None else None,
        class_="what",
    )
    summary = element(
        "summary",
        what,
        element("span", f"+{duration(span.start - drawing.start)}", class_="at"),
        element("span", duration(span.duration), class_="took"),
        _bar(span, drawing, colour),
    )
    classes = f"span d{min(row.depth, _DEEPEST)}{' quiet' if row.quiet else ''}"
    return element("li", element("details", summary, _attributes(span)), class_=classes)


def _short(span: Span) -> list[str]:
    """Return the kind, and attributes whose value speaks for itself."""
    words = [] if span.kind == "internal" else [f" {span.kind}"]
    for key in SHOWN:
        value = span.attributes.get(key)
        if value is not None and str(value) not in span.name:
            words.append(f" {value}")
    return list(dict.fromkeys(words))


def _attributes(span: Span) -> Markup:
    stored: dict[str, Any] = {"span": span.span_id, **span.attributes}
    pairs = (
        element("div", element("dt", key), element("dd", stored[key])) for key in sorted(stored)
    )
    return element("dl", *pairs, class_="attributes")


def _bar(span: Span, drawing: _Drawing, colour: int) -> Markup:
    left = (span.start - drawing.start) / drawing.seconds * 100
    width = max(0.3, span.duration / drawing.seconds * 100)
    left = min(max(0.0, left), 100 - min(width, 100))
    bar = element("rect", x=f"{left:.3f}%", width=f"{width:.3f}%", y="0", height="100%", rx="2")
    return element("svg", bar, class_=f"bar c{colour}", aria_hidden="true", focusable="false")


def log_row(row: LineRow, start: float) -> Markup:
    """Return a log line as a row of the list; `start` is the trace's, in epoch seconds."""
    line = row.line
    more = facts(line, told(row.span) if row.span else {})
    level = line.level or "LOG"
    what = element(
        "span",
        element("span", f"level {row.depth + 1}: ", class_="unseen"),
        element("span", level.lower(), class_=f"level {_sign(level)}"),
        " ",
        element("span", f"{line.service} ", class_="service") if row.span is None else None,
        element("span", line.headline, class_="message"),
        element("span", f" {more}", class_="more") if more else None,
        class_="what",
    )
    offset = duration(max(0.0, line.at - start))
    at = element("span", f"+{offset}", class_="at")
    return element("li", what, at, class_=f"log d{min(row.depth, _DEEPEST)}")


def _sign(level: str) -> str:
    return {"ERROR": "bad", "WARNING": "warn"}.get(level, "plain")
