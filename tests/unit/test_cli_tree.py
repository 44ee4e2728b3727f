import pytest

from stack.cli.tree import draw
from weft.backends.loki import LogLine
from weft.backends.nodes import forest
from weft.backends.trace import Span, Trace
from weft.backends.words import duration, facts


def span(span_id: str, parent: str | None, start: float = 0.0, **more: object) -> Span:
    fields: dict[str, object] = {
        "trace_id": "t" * 32,
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


def line(span_id: str, message: str, **told: str) -> LogLine:
    return LogLine(
        nanoseconds=100_005_000_000,
        level="WARNING",
        service="orders",
        instance="orders-0",
        message=message,
        facts=told,
        trace_id="t" * 32,
        span_id=span_id,
    )


def drawing(
    spans: list[Span], lines: list[LogLine] | None = None, *, width: int = 100, full: bool = False
) -> list[str]:
    trace = Trace("t" * 32, spans)
    tree = forest(trace, lines or [])
    return [text.plain for text in draw(trace, tree, width=width, full=full)]


def body(rows: list[str]) -> list[str]:
    return rows[next(i for i, row in enumerate(rows) if "offset" in row) + 1 :]


MESSAGE = [
    span("GET /", None, kind="server", service="gateway", duration=0.5),
    span("INSERT", "GET /", 0.1, kind="client"),
    span("send x", "GET /", 0.2, kind="producer"),
    span("process x", "send x", 0.3, kind="consumer", service="payments"),
    span("UPDATE", "process x", 0.31, kind="client", service="payments"),
    span("last", "GET /", 0.4),
]


def test_every_span_has_a_row_with_offset_duration_and_place() -> None:
    assert body(drawing(MESSAGE)) == [
        "     0 us    500 ms  gateway GET / server",
        "   100 ms   10.0 ms  ├─ orders INSERT client",
        "   200 ms   10.0 ms  ├─ orders send x producer",
        "   300 ms   10.0 ms  ⇢  payments process x consumer",
        "   310 ms   10.0 ms  │  └─ payments UPDATE client",
        "   400 ms   10.0 ms  └─ orders last",
    ]


def test_the_head_names_the_trace_its_size_and_its_services() -> None:
    rows = drawing(MESSAGE)
    assert rows[0] == "trace " + "t" * 32
    assert rows[1].startswith("6 spans in 500 ms, started 1970-01-0")
    assert rows[2] == "gateway 1  orders 3  payments 2"


def test_log_lines_stand_between_a_span_and_its_children() -> None:
    rows = body(drawing(MESSAGE, [line("GET /", "careful", weft_order_id="7")]))
    assert rows[1] == "  5.00 ms   WARNING  │  · careful weft_order_id=7"


def test_facts_that_the_span_tells_are_not_repeated_unless_in_full() -> None:
    attributes = {"http.response.status_code": 202, "user.id": "alice"}
    spans = [span("GET /", None, attributes=attributes)]
    lines = [line("GET /", "served", http_response_status_code="202", user_id="bob")]
    assert body(drawing(spans, lines))[1].endswith("· served user_id=bob")
    full = body(drawing(spans, lines, full=True))[1]
    assert full.endswith("· served http_response_status_code=202 user_id=bob")


def test_an_error_says_what_it_was() -> None:
    rows = drawing([span("a", None, error="ConnectionError: no route")])
    assert "1 failed" in rows[1]
    assert rows[-1].endswith("failed: ConnectionError: no route")


def test_an_orphan_is_drawn_and_the_trace_called_not_whole() -> None:
    rows = drawing([span("a", None), span("lost", "gone", 0.1)])
    assert "not whole: the parent of 1 spans is missing" in rows
    assert rows[-1].endswith("orders lost")


def test_status_statement_and_our_own_attributes_are_shown_once() -> None:
    attributes = {
        "http.response.status_code": 202,
        "weft.order.id": "7",
        "weft.message.attempt": 1,
        "url.path": "/v1/orders",
    }
    assert body(drawing([span("POST", None, attributes=attributes)]))[0].endswith(
        "orders POST 202 weft.order.id=7"
    )


def test_a_second_attempt_is_worth_a_word() -> None:
    spans = [span("process", None, attributes={"weft.message.attempt": 2})]
    assert body(drawing(spans))[0].endswith("weft.message.attempt=2")


def many(count: int) -> list[Span]:
    return [span("root", None, duration=9.0)] + [
        span(f"INSERT {i}", "root", i / 1000) for i in range(count)
    ]


def test_a_long_trace_is_shortened_and_in_full_it_is_not() -> None:
    assert len(body(drawing(many(100)))) == 2
    assert "100 spans, 1.00 s: INSERT 0, INSERT 1" in body(drawing(many(100)))[1]
    assert len(body(drawing(many(100), full=True))) == 101


def test_more_rows_than_anyone_reads_are_counted() -> None:
    spans = [span("root", None, duration=9.0)] + [
        span(f"slow {i}", "root", i / 1000, duration=1.0) for i in range(400)
    ]
    rows = body(drawing(spans))
    assert len(rows) == 301
    assert rows[-1] == "... 101 more rows: --full"


def test_a_saga_of_ten_messages_leaves_room_for_names_at_100_columns() -> None:
    spans = [span("GET /", None)]
    for i in range(10):
        above = spans[-1].span_id
        spans.append(span(f"send {i}", above, i / 10, kind="producer"))
        spans.append(span(f"process {i}", f"send {i}", i / 10 + 0.05, kind="consumer"))
    assert max(map(len, drawing(spans))) < 80


def test_a_wide_terminal_gets_bars() -> None:
    rows = body(drawing(MESSAGE, width=140))
    assert rows[0].startswith("     0 us    500 ms  " + "━" * 20 + "  gateway")
    assert rows[-1].startswith("   400 ms   10.0 ms  " + " " * 16 + "━" + " " * 5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 us"),
        (0.0005, "500 us"),
        (0.00123, "1.23 ms"),
        (0.0123, "12.3 ms"),
        (0.123, "123 ms"),
        (1.234, "1.23 s"),
        (59.9, "59.9 s"),
        (75.0, "1m 15s"),
    ],
)
def test_a_duration_has_three_digits_and_a_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_our_own_facts_come_first() -> None:
    told = facts(line("a", "x", alpha="1", weft_order_id="2"))
    assert told == "weft_order_id=2 alpha=1"
