from weft.backends.loki import LogLine
from weft.backends.nodes import Elided, Node, depth, elide, forest, to_json
from weft.backends.trace import Span, Trace


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


def line(span_id: str, message: str) -> LogLine:
    return LogLine(
        nanoseconds=100_500_000_000,
        level="INFO",
        service="orders",
        instance="orders-0",
        message=message,
        facts={},
        trace_id="t",
        span_id=span_id,
    )


def test_log_lines_stand_in_the_node_of_their_span() -> None:
    trace = Trace("t", [span("a", None), span("b", "a", 0.1)])
    tree = forest(trace, [line("b", "one"), line("b", "two"), line("gone", "three")])
    [root] = tree.roots
    [child] = root.children
    assert isinstance(child, Node)
    assert [log.message for log in child.logs] == ["one", "two"]
    assert [log.message for log in tree.stray] == ["three"]


def test_orphans_are_roots_of_their_own_so_that_nothing_is_hidden() -> None:
    trace = Trace("t", [span("a", None), span("lost", "gone", 0.1), span("c", "lost", 0.2)])
    assert [root.span.span_id for root in forest(trace, []).roots] == ["a", "lost"]


def test_quiet_siblings_share_a_row_where_the_first_one_stood() -> None:
    spans = [
        span("a", None),
        span("select", "a", 0.1),
        span("failed", "a", 0.2, error="no"),
        span("insert", "a", 0.3),
        span("slow", "a", 0.4, duration=0.2),
    ]
    [root] = forest(Trace("t", spans), []).roots
    group, failed, slow = elide(root).children
    assert isinstance(group, Elided)
    assert [one.span_id for one in group.spans] == ["select", "insert"]
    assert isinstance(failed, Node)
    assert isinstance(slow, Node)
    assert (failed.span.span_id, slow.span.span_id) == ("failed", "slow")


def test_a_span_with_a_log_line_is_not_quiet() -> None:
    spans = [span("a", None), span("b", "a", 0.1), span("c", "a", 0.2)]
    [root] = forest(Trace("t", spans), [line("b", "something")]).roots
    assert [type(child) for child in elide(root).children] == [Node, Node]


def test_handling_needs_no_column_beyond_that_of_its_sending() -> None:
    spans = [
        span("a", None),
        span("send", "a", kind="producer"),
        span("process", "send", kind="consumer"),
        span("sql", "process"),
    ]
    assert depth(forest(Trace("t", spans), []).roots) == 3


def test_json_has_every_span_once_with_relative_times() -> None:
    spans = [span("a", None), span("b", "a", 0.5), span("c", "b", 0.7)]
    trace = Trace("t", spans)
    written = to_json(trace, forest(trace, [line("c", "hello")]))
    assert written["span_count"] == 3
    assert written["whole"] is True
    [a] = written["spans"]
    [b] = a["children"]
    [c] = b["children"]
    assert (a["offset"], b["offset"], c["offset"]) == (0.0, 0.5, 0.7)
    assert c["logs"][0]["message"] == "hello"
    assert c["children"] == []


def test_json_of_a_trace_deeper_than_pythons_stack_is_made() -> None:
    spans = [span(str(i), str(i - 1) if i else None, i) for i in range(3000)]
    trace = Trace("t", spans)
    level, levels = to_json(trace, forest(trace, []))["spans"], 0
    while level:
        levels, level = levels + 1, level[0]["children"]
    assert levels == 3000
