from datetime import UTC, datetime

from services.gateway.ops.errors import errors_page, grouped
from weft.backends.loki import LogLine


def line(second: int, fingerprint: str, message: str = "message processed", **more: str) -> LogLine:
    facts = {
        "weft_error_fingerprint": fingerprint,
        "exception_type": "ValueError",
        "exception_message": f"no {second}",
    }
    return LogLine(
        nanoseconds=second * 1_000_000_000,
        level="ERROR",
        service=more.pop("service", "orders"),
        instance="orders-0",
        message=message,
        facts={**facts, **more},
        trace_id=f"{second:032x}",
        span_id="",
    )


def test_errors_of_one_fingerprint_are_one_group_with_its_first_and_last_time() -> None:
    groups = grouped([line(1, "a"), line(2, "b"), line(3, "a", service="payments")])
    assert [(group.fingerprint, group.count) for group in groups] == [("a", 2), ("b", 1)]
    [group, _] = groups
    assert (group.first, group.last) == tuple(datetime.fromtimestamp(at, UTC) for at in (1, 3))
    assert group.services == ["orders", "payments"]
    assert (group.text, group.trace_id) == ("no 3", f"{3:032x}")


def test_a_dead_letter_is_counted_apart_and_says_nothing_new() -> None:
    dead = line(3, "a", "message is dead", exception_message="", exception_type="")
    [group] = grouped([line(1, "a"), line(2, "a"), dead])
    assert (group.count, group.dead) == (2, 1)
    assert (group.said, group.error_type, group.text) == ("message processed", "ValueError", "no 2")


def test_the_page_shows_what_an_error_says_as_text() -> None:
    shown = errors_page(
        grouped([line(1, "a", exception_message="<b>x</b>")]), cut=True, subject="eve"
    )
    assert b"&lt;b&gt;x&lt;/b&gt;" in shown
    assert f"/ops/traces/{1:032x}".encode() in shown
    assert b"only the newest count" in shown
    assert b"There are none." in errors_page([], cut=False, subject="eve")
