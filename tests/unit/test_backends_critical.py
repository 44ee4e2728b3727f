from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stack.cli.path import draw, shares
from weft.backends.critical import Step, critical_path
from weft.backends.trace import Span, Trace


def span(span_id: str, parent: str | None, start: float, end: float, service: str = "a") -> Span:
    return Span(
        trace_id="t" * 32,
        span_id=span_id,
        parent_id=parent,
        links=[],
        service=service,
        name=span_id,
        kind="internal",
        start=start,
        duration=end - start,
        error=None,
        attributes={},
    )


def told(steps: list[Step]) -> list[tuple[str, float, float]]:
    return [
        (("wait " if step.waiting else "") + step.span.span_id, step.start, step.end)
        for step in steps
    ]


def test_a_call_that_was_waited_for_takes_the_place_of_its_caller() -> None:
    trace = Trace("t", [span("root", None, 0, 10), span("call", "root", 2, 7)])
    assert told(critical_path(trace)) == [("root", 0, 2), ("call", 2, 7), ("root", 7, 10)]


def test_of_calls_side_by_side_the_one_that_ended_last_counts() -> None:
    spans = [span("root", None, 0, 10), span("long", "root", 1, 9), span("short", "root", 2, 4)]
    assert told(critical_path(Trace("t", spans))) == [
        ("root", 0, 1),
        ("long", 1, 9),
        ("root", 9, 10),
    ]


def test_a_message_in_its_queue_is_waiting_for_whoever_handles_it() -> None:
    spans = [span("send", None, 0, 1), span("process", "send", 3, 5)]
    assert told(critical_path(Trace("t", spans))) == [
        ("send", 0, 1),
        ("wait process", 1, 3),
        ("process", 3, 5),
    ]


def test_a_chain_of_messages_leads_on_after_the_first_answer() -> None:
    spans = [
        span("request", None, 0, 4),
        span("settled", "request", 3, 4),
        span("send", "request", 2, 2.5),
        span("process", "send", 3, 8),
        span("statement", "process", 4, 5),
    ]
    assert told(critical_path(Trace("t", spans))) == [
        ("request", 0, 2),
        ("send", 2, 2.5),
        ("wait process", 2.5, 3),
        ("process", 3, 4),
        ("statement", 4, 5),
        ("process", 5, 8),
    ]


def test_a_trace_without_its_root_has_a_path_through_what_is_there() -> None:
    spans = [span("one", "gone", 0, 1), span("two", "gone", 2, 3)]
    assert told(critical_path(Trace("t", spans))) == [
        ("one", 0, 1),
        ("wait two", 1, 2),
        ("two", 2, 3),
    ]


@given(st.data())
def test_the_steps_follow_on_each_other_and_cover_the_whole_trace(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    moments = st.integers(0, 50)
    spans = []
    for number in range(count):
        parent = str(data.draw(st.integers(0, number - 1))) if number else None
        start = data.draw(moments)
        spans.append(span(str(number), parent, start, start + data.draw(moments)))
    trace = Trace("t", spans)
    steps = critical_path(trace)
    if trace.duration == 0:
        assert steps == []
        return
    assert steps[0].start == trace.start
    assert steps[-1].end == trace.end
    assert all(one.end == after.start for one, after in pairwise(steps))
    for step in steps:
        within = step.span.start <= step.start and step.end <= step.span.end
        assert step.waiting or within


def test_a_deep_trace_has_a_path_too() -> None:
    spans = [span("0", None, 0, 20_000)]
    spans += [span(str(n), str(n - 1), n / 10, 20_000 - n / 10) for n in range(1, 5000)]
    assert len(critical_path(Trace("t", spans))) == 9999


def test_the_drawing_counts_short_steps_together_and_adds_up_services() -> None:
    spans = [
        span("root", None, 0, 10, "gateway"),
        span("call", "root", 0.001, 9, "orders"),
    ]
    trace = Trace("t", spans)
    steps = critical_path(trace)
    rows = [row.plain for row in draw(trace, steps, full=False)]
    assert any(row.endswith("1 short steps") for row in rows)
    assert rows[-2].split() == ["9.00", "s", "90%", "orders"]
    assert sum(took for _, took in shares(steps)) == trace.duration
    assert len(list(draw(trace, steps, full=True))) == len(rows)
