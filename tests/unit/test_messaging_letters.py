"""What an operator is shown of a dead letter, whatever is in it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from aio_pika import IncomingMessage
from aiormq.abc import DeliveredMessage
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from weft.messaging.letters import BODY_MOST, HEADERS_MOST, TEXT_MOST, contents, letter, origin

IDENTITY = "01a21449-b061-757e-9748-543566366648"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def message(body: bytes = b"{}", **properties: Any) -> IncomingMessage:
    found = Basic.Properties(**{"message_id": IDENTITY, **properties})
    header = ContentHeader(body_size=len(body), properties=found)
    delivery = Basic.GetOk(1, False, "orders.direct", "orders.events.dead", 0)
    return IncomingMessage(DeliveredMessage(delivery, header, body, None))  # type: ignore[arg-type]


def died(**facts: Any) -> IncomingMessage:
    """A message that a consumer of ours has put aside."""
    told = {"reason": "attempts", "error-type": "ValueError", "error": "no", "attempts": 4, **facts}
    headers = {f"x-weft-{name}": value for name, value in told.items()}
    return message(headers=headers, message_type="stock.reserved.v1")


def test_the_letter_of_a_consumer_says_what_the_consumer_wrote() -> None:
    found = letter(died(**{"first-failed-at": "2026-11-25T19:00:00.5+00:00"}), "orders.events")
    assert (found.queue, found.id, found.type) == ("orders.events", IDENTITY, "stock.reserved.v1")
    assert (found.reason, found.error_type, found.error) == ("attempts", "ValueError", "no")
    assert (found.attempts, found.replays) == (4, 0)
    assert found.failed_at == datetime(2026, 11, 25, 19, 0, 0, 500_000, UTC)


@pytest.mark.parametrize(
    ("traceparent", "trace_id"),
    [(f"00-{TRACE}-b7ad6b7169203331-01", TRACE), ("00-x-y-01", ""), (7, ""), ("", "")],
)
def test_the_trace_is_that_of_the_message(traceparent: object, trace_id: str) -> None:
    assert letter(message(headers={"traceparent": traceparent}), "q").trace_id == trace_id


def test_what_the_broker_put_aside_says_why_and_where_it_came_from() -> None:
    at = datetime(2026, 11, 25, 19, 0, tzinfo=UTC)
    death = {
        "reason": "delivery_limit",
        "time": at,
        "exchange": "weft.commands",
        "routing-keys": ["ReserveStock"],
    }
    dead = message(headers={"x-death": [death]})
    found = letter(dead, "inventory.commands")
    assert (found.reason, found.attempts, found.failed_at) == ("delivery_limit", 0, at)
    assert origin(dead) == {
        "x-weft-exchange": "weft.commands",
        "x-weft-routing-key": "ReserveStock",
    }


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"error": "order 17 is gone"}, {"error": "order 4711 is gone"}, True),
        ({"error": f"no {IDENTITY}"}, {"error": f"no {IDENTITY[::-1]}"}, True),
        ({"error": "order 17 is gone"}, {"error": "order 17 is late"}, False),
        ({"error-type": "KeyError"}, {"error-type": "TypeError"}, False),
        ({"reason": "attempts"}, {"reason": "unparsable"}, False),
        ({"attempts": 1}, {"attempts": 4}, True),
    ],
)
def test_a_group_has_queue_type_and_error_in_common_whatever_the_numbers(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    first, second = letter(died(**one), "q"), letter(died(**other), "q")
    assert (first.group == second.group) is same
    assert letter(died(**one), "r").group != first.group


def test_letters_of_one_error_have_its_fingerprint_as_their_group() -> None:
    one, other = (letter(died(fingerprint="0123abcd", error=text), "q") for text in ("tea", "milk"))
    assert one.group == other.group == "0123abcd"


@pytest.mark.parametrize(
    "body",
    [
        b'{"payment": {"token": "tok_ok"}, "n": 1}',
        b'{"note": "paid with tok_ok"}',
        b'{"cardNumber": 4111111111111111, "n": 1}',
        b'{"note": "4111 1111 1111 1111"}',
        b'[{"Authorization": "Bearer abc.def"}]',
        b'{"password": ["hunter2", "other"]}',
        b'{"user_email": "jo.doe@example.org", "n": 1}',
        b'{"note": "jo.doe@example.org"}',
        b'{"payment": {"token": "tok_ok", "and it breaks off',
        b'\xff{"api_key": "hunter2", "n": 1}',
    ],
)
def test_no_body_shows_a_secret_or_a_person(body: bytes) -> None:
    shown = contents(message(body)).body
    for secret in ("tok_ok", "4111", "abc.def", "hunter2", "other", "jo.doe"):
        assert secret not in shown
    assert "***" in shown


def test_what_is_no_secret_is_shown_as_it_is() -> None:
    body = b'{"order_id":"%s","sku":"SKU-0001","quantity":2}' % IDENTITY.encode()
    found = contents(message(body, headers={"baggage": "k=v", "x-api-key": "k", "tok_ok": "x"}))
    assert found.body == body.decode()
    assert found.size == len(body)
    assert found.headers == {"baggage": "k=v", "x-api-key": "***", "***": "x"}


def test_headers_and_body_are_bounded() -> None:
    headers = {f"h{n}": "x" * 10_000 for n in range(500)}
    found = contents(message(b"y" * 3_000_000, headers=headers))
    assert len(found.headers) == HEADERS_MOST
    assert {len(value) for value in found.headers.values()} == {TEXT_MOST}
    assert (len(found.body), found.size) == (BODY_MOST, 3_000_000)


@given(
    body=st.binary(max_size=300) | st.text(max_size=100).map(str.encode),
    error=st.text(max_size=50) | st.integers() | st.lists(st.text()) | st.none(),
    death=st.none()
    | st.lists(st.dictionaries(st.text(), st.integers()))
    | st.just([{"time": "?"}]),
    kind=st.text(max_size=20),
)
def test_any_message_can_be_shown_on_a_terminal(
    body: bytes, error: object, death: object, kind: str
) -> None:
    facts = {"x-weft-error": error, "x-weft-first-failed-at": error, "x-death": death}
    strange = message(body, headers=facts, message_type=kind)
    found, inside = letter(strange, "q"), contents(strange)
    texts = [found.type, found.reason, found.error, inside.body, *inside.headers.values()]
    assert all(text.isprintable() for text in texts)
    assert set(origin(strange)) == {"x-weft-exchange", "x-weft-routing-key"}


def test_a_body_too_deep_to_read_is_shown_as_text() -> None:
    assert contents(message(b"[" * 100_000)).body == "[" * BODY_MOST
