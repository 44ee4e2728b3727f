"""The page of a trace, from trees that are made up."""

import re
from html.parser import HTMLParser

from services.gateway.ops.trace_page import MOST_ROWS, trace_page
from services.gateway.ops.waterfall import LineRow, SpanRow, rows
from weft.backends.loki import LogLine
from weft.backends.nodes import forest
from weft.backends.trace import Span, Trace

HOSTILE = "</dd><script>alert('x')</script><img src=x onerror=\"alert(1)\">\x00\ud800"


def span(span_id: str, parent: str | None, start: float = 0.0, **more: object) -> Span:
    fields: dict[str, object] = {
        "trace_id": "t",
        "span_id": span_id,
        "parent_id": parent,
        "links": [],
        "service": "orders",
        "name": span_id,
        "kind": "internal",
        "start": 100.0 + start,
        "duration": 0.01,
        "error": None,
        "attributes": {},
    }
    return Span(**{**fields, **more})  # type: ignore[arg-type]


def line(span_id: str, message: str, at: float, **facts: str) -> LogLine:
    return LogLine(
        nanoseconds=int((100 + at) * 1e9),
        level="INFO",
        service="orders",
        instance="orders-0",
        message=message,
        facts=facts,
        trace_id="t",
        span_id=span_id,
    )


def told(spans: list[Span], lines: list[LogLine]) -> list[tuple[int, str]]:
    return [
        (row.depth, row.span.name if isinstance(row, SpanRow) else row.line.message)
        for row in rows(forest(Trace("t", spans), lines))
    ]


class Elements(HTMLParser):
    """What a browser would find."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_log_lines_stand_between_the_spans_by_their_time() -> None:
    spans = [span("a", None), span("b", "a", 0.1), span("c", "a", 0.3)]
    lines = [line("a", "first", 0.05), line("a", "second", 0.2), line("b", "inner", 0.15)]
    assert told(spans, lines) == [
        (0, "a"),
        (1, "first"),
        (1, "b"),
        (2, "inner"),
        (1, "second"),
        (1, "c"),
    ]


def test_handling_stands_at_the_depth_of_its_sending() -> None:
    spans = [
        span("a", None),
        span("send", "a", 0.1, kind="producer"),
        span("process", "send", 0.2, kind="consumer"),
        span("sql", "process", 0.3),
    ]
    assert told(spans, []) == [(0, "a"), (1, "send"), (1, "process"), (2, "sql")]


def test_log_lines_of_spans_that_are_not_stored_come_last() -> None:
    found = list(rows(forest(Trace("t", [span("a", None)]), [line("gone", "lost", 0.0)])))
    assert isinstance(found[-1], LineRow)
    assert found[-1].span is None


def test_a_trace_deeper_than_pythons_stack_is_drawn_and_cut() -> None:
    spans = [span(str(i), str(i - 1) if i else None, i) for i in range(MOST_ROWS + 5)]
    trace = Trace("t", spans)
    html = trace_page(trace, forest(trace, [])).decode()
    assert html.count('<li class="span') == MOST_ROWS
    assert f"Only the first {MOST_ROWS} rows" in html


def test_hostile_values_stay_text_wherever_they_stand() -> None:
    attributes = {"k" + HOSTILE: HOSTILE, "weft.order.id": HOSTILE, "db.query.summary": HOSTILE}
    hostile = span(
        "a", None, service=HOSTILE, name=HOSTILE, error=HOSTILE, kind=HOSTILE, attributes=attributes
    )
    trace = Trace("t", [hostile])
    lines = [line("a", HOSTILE, 0.0, fact=HOSTILE), line("gone", HOSTILE, 0.0)]
    page = trace_page(trace, forest(trace, lines), missing=HOSTILE, subject=HOSTILE)
    found = Elements(page)
    assert not {"script", "img", "style"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on") or name == "style"]
    assert found.text.count("<script>alert('x')</script>") >= 10
    assert b"\x00" not in page


def test_bars_stay_within_their_frame() -> None:
    spans = [span("a", None), span("b", "a", 0.5, duration=1e-7), span("c", "a", 5.0, duration=9)]
    trace = Trace("t", spans)
    html = trace_page(trace, forest(trace, [])).decode()
    found = re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"', html)
    bars = [(float(left), float(width)) for left, width in found]
    assert len(bars) == 3
    assert all(left >= 0 and width > 0 and left + width <= 100.001 for left, width in bars)


def test_a_trace_of_no_duration_is_drawn() -> None:
    trace = Trace("t", [span("a", None, duration=0.0)])
    assert b"<svg" in trace_page(trace, forest(trace, []))


def test_a_trace_that_is_not_whole_says_so() -> None:
    trace = Trace("t", [span("a", None), span("b", "gone", 0.1)])
    assert b"still growing" in trace_page(trace, forest(trace, []))
    whole = Trace("t", [span("a", None)])
    assert b"still growing" not in trace_page(whole, forest(whole, []))


def test_short_spans_can_be_folded_away_and_are_at_first_where_there_are_many() -> None:
    few = [span("a", None), span("b", "a", 0.1)]
    many = [span("a", None), *(span(f"s{i}", "a", i / 1000) for i in range(50))]
    for spans, ticked in ((few, True), (many, False)):
        trace = Trace("t", spans)
        html = trace_page(trace, forest(trace, [])).decode()
        box = re.search(r'<input type="checkbox" id="quiet"( checked)?>', html)
        assert box is not None
        assert bool(box[1]) == ticked
        assert html.count('quiet">') >= len(spans) - 1
