from weft.backends.trace import Span, Trace


def span(span_id: str, parent: str | None, start: float, seconds: float, **more: object) -> Span:
    fields: dict[str, object] = {
        "trace_id": "t",
        "span_id": span_id,
        "parent_id": parent,
        "links": [],
        "service": "orders",
        "name": span_id,
        "kind": "internal",
        "start": start,
        "duration": seconds,
        "error": None,
        "attributes": {},
    }
    return Span(**{**fields, **more})  # type: ignore[arg-type]


def test_one_root_and_no_orphan_make_a_trace_whole() -> None:
    assert Trace("t", [span("a", None, 0, 1), span("b", "a", 0.1, 0.1)]).whole


def test_a_span_whose_parent_is_missing_is_an_orphan() -> None:
    trace = Trace("t", [span("a", None, 0, 1), span("b", "gone", 0.1, 0.1)])
    assert [orphan.span_id for orphan in trace.orphans] == ["b"]
    assert not trace.whole


def test_two_roots_are_not_a_whole_trace() -> None:
    assert not Trace("t", [span("a", None, 0, 1), span("b", None, 0.1, 0.1)]).whole


def test_a_trace_lasts_until_its_last_span_ends() -> None:
    trace = Trace("t", [span("a", None, 10, 0.02), span("b", "a", 10.5, 1.0)])
    assert trace.duration == 1.5


def test_walking_gives_parents_first_and_siblings_in_order() -> None:
    spans = [
        span("a", None, 0, 9),
        span("b", "a", 1, 1),
        span("c", "b", 1.1, 0.1),
        span("d", "a", 2, 1),
        span("lost", "gone", 3, 1),
    ]
    walked = [(depth, one.span_id) for depth, one in Trace("t", spans).walk()]
    assert walked == [(0, "a"), (1, "b"), (2, "c"), (1, "d"), (0, "lost")]


def test_a_trace_deeper_than_pythons_stack_is_walked() -> None:
    spans = [span(str(i), str(i - 1) if i else None, i, 1) for i in range(5000)]
    assert [depth for depth, _ in Trace("t", spans).walk()] == list(range(5000))


def test_services_come_in_the_order_of_their_first_span() -> None:
    spans = [
        span("a", None, 0, 1, service="gateway"),
        span("b", "a", 1, 1, service="orders"),
        span("c", "b", 2, 1, service="gateway"),
    ]
    assert Trace("t", spans).services == ["gateway", "orders"]


def test_the_root_of_a_trace_without_one_is_its_first_span() -> None:
    assert Trace("t", [span("b", "gone", 0, 1), span("c", "b", 1, 1)]).root.span_id == "b"
