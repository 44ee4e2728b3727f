"""How dead letters are printed."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from stack.cli import letters
from weft.messaging.dead_letters import Done
from weft.messaging.letters import Contents, Letter

FIRST = Letter(
    queue="orders.events",
    group="0badcafe",
    id="01a21449-b061-757e-9748-543566366648",
    type="stock.reserved.v1",
    reason="attempts",
    error_type="ValueError",
    error="no stock left",
    attempts=4,
    replays=0,
    failed_at=datetime(2026, 11, 25, 19, 0, tzinfo=UTC),
    trace_id="0af7651916cd43dd8448eb211c80319c",
    correlation_id="c",
)


def other(**changes: Any) -> Letter:
    return msgspec.structs.replace(FIRST, **changes)


def test_letters_are_counted_in_groups_with_their_first_and_last_time() -> None:
    later = other(failed_at=datetime(2026, 11, 25, 20, 0, tzinfo=UTC), error="none left")
    undated = other(queue="a.events", group="11111111", failed_at=None)
    first, second = letters.grouped([FIRST, later, undated])
    assert (first.queue, first.count, first.oldest) == ("a.events", 1, None)
    assert (second.group, second.count, second.error) == ("0badcafe", 2, "none left")
    assert (second.oldest, second.newest) == ("2026-11-25T19:00:00Z", "2026-11-25T20:00:00Z")


def test_a_program_gets_a_list_of_groups(capsys: pytest.CaptureFixture[str]) -> None:
    letters.show_groups([FIRST], as_json=True)
    [group] = json.loads(capsys.readouterr().out)
    assert set(group) == {
        "group",
        "queue",
        "message_type",
        "reason",
        "error_type",
        "error",
        "count",
        "oldest",
        "newest",
    }


def test_a_person_sees_queue_type_and_error(capsys: pytest.CaptureFixture[str]) -> None:
    letters.show_groups([FIRST], as_json=False)
    shown = capsys.readouterr().out
    for part in ("0badcafe", "orders.events", "stock.reserved.v1: ValueError no stock left"):
        assert part in shown
    letters.show_groups([], as_json=False)
    assert "no dead letters" in capsys.readouterr().out


def test_one_letter_is_shown_with_trace_headers_and_body(
    capsys: pytest.CaptureFixture[str],
) -> None:
    inside = Contents({"baggage": "k=v"}, '{"n":1}', 7)
    letters.show_all([letters.Shown(FIRST, inside)], as_json=True)
    [document] = json.loads(capsys.readouterr().out)
    assert document["headers"] == {"baggage": "k=v"}
    assert (document["body"], document["size"], document["attempts"]) == ('{"n":1}', 7, 4)
    letters.show_all([letters.Shown(FIRST, inside)], as_json=False)
    shown = capsys.readouterr().out
    for part in (FIRST.id, FIRST.trace_id, "baggage", '{"n":1}', "no stock left"):
        assert part in shown


def test_what_was_done_is_said_for_each_queue(capsys: pytest.CaptureFixture[str]) -> None:
    letters.show_done("sent back", Done([FIRST, FIRST, other(queue="a.events")]))
    assert capsys.readouterr().out == "a.events: 1 sent back\norders.events: 2 sent back\n"
    letters.show_done("deleted", Done())
    assert capsys.readouterr().out == "0 deleted\n"
