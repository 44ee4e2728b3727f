"""What is news of an alert, and what people are told of a group."""

from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.domain import (
    REMIND,
    Alert,
    Known,
    Status,
    fields,
    is_news,
    is_reminder,
    is_worth_keeping,
    notice,
)
from weft.alertmanager import LATE

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
START = NOW - timedelta(minutes=10)
SOON = NOW - timedelta(seconds=1)


def alert(status: Status = "firing", *, start: datetime = START, **labels: str) -> Alert:
    return Alert(
        status=status,
        labels={"alertname": "DeadLetters", "severity": "warning", **labels},
        annotations={"summary": "3 messages are dead"},
        starts_at=start,
        ends_at=None,
        fingerprint="a",
    )


def known(status: Status, *, start: datetime = START, heard: datetime = SOON) -> Known:
    return Known(status=status, starts_at=start, heard_at=heard)


@pytest.mark.parametrize(
    ("told", "before", "news"),
    [
        (alert(), None, True),
        (alert("resolved"), None, False),
        (alert(), known("firing"), False),
        (alert(start=SOON), known("firing"), False),
        (alert("resolved"), known("firing"), True),
        (alert("resolved", start=START - timedelta(hours=1)), known("firing"), False),
        (alert("resolved"), known("resolved"), False),
        (alert(), known("resolved"), False),
        (alert(), known("resolved", heard=NOW - LATE - timedelta(seconds=1)), True),
        (alert(start=SOON), known("resolved"), True),
    ],
)
def test_each_beginning_and_each_end_is_news_once(
    told: Alert, before: Known | None, news: bool
) -> None:
    assert is_news(told, before, NOW) is news
    assert is_worth_keeping(told, before, NOW) or not news


def test_whatever_order_a_beginning_and_its_end_come_in_nothing_fires_at_last() -> None:
    for several in ((alert(), alert("resolved")), (alert("resolved"), alert())):
        before: Known | None = None
        for each in several:
            if is_worth_keeping(each, before, NOW):
                before = known(each.status)
        assert before is not None
        assert before.status == "resolved"


def test_what_still_fires_is_told_again_after_an_hour_and_what_is_over_is_not() -> None:
    long_ago = NOW - REMIND
    assert is_reminder([alert()], long_ago, NOW)
    assert not is_reminder([alert()], SOON, NOW)
    assert not is_reminder([alert("resolved")], long_ago, NOW)


def test_a_message_is_as_bad_as_the_worst_that_fires_and_names_it_first() -> None:
    over = alert("resolved", severity="critical")
    told = notice("id", NOW, [over, alert(severity="info"), alert(severity="warning")])
    assert (told.status, told.severity) == ("firing", "warning")
    assert [each.severity for each in told.alerts] == ["warning", "info", "critical"]
    assert told.title == "[FIRING 2] DeadLetters"


def test_a_title_is_one_line_and_bounded() -> None:
    long = alert(service_name="orders\r\nBcc: x@y", alertname="x" * 500)
    title = notice("id", NOW, [long]).title
    assert len(title) == 200
    assert title.isprintable()


def test_a_template_may_name_labels_and_annotations_and_an_unknown_severity_is_a_warning() -> None:
    odd = alert(severity="page", queue="orders.events")
    named = fields(notice("id", NOW, [odd]), odd)
    assert (named["queue"], named["summary"]) == ("orders.events", "3 messages are dead")
    assert (named["severity"], named["description"]) == ("warning", "")
