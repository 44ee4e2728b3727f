"""What copies for retries and dead letters keep, add and hide."""

from typing import Any

import msgspec
import pytest

from weft.messaging import Incoming, QueueSpec, ServiceTopology, TopologyError, Unparsable
from weft.messaging.backoff import Backoff
from weft.messaging.copies import again, clean, dead, retry
from weft.messaging.wire import publish_frames
from weft.telemetry.fingerprint import fingerprint

QUEUE = QueueSpec(name="orders.events")


def incoming(attempt: int = 1, **headers: Any) -> Incoming:
    return Incoming(
        id="019a0d4b-5f10-7c4e-8a3e-0a8f5a3c9b11",
        type="stock.reserved",
        version=2,
        body=b"{}",
        headers=headers,
        correlation_id="c",
        reply_to=None,
        attempt=attempt,
        redelivered=False,
        queue="orders.events",
        exchange="weft.events",
        routing_key="stock.reserved",
        at=1.0,
    )


def test_a_retry_keeps_identity_and_trace_and_counts_one_more() -> None:
    original = incoming(2, traceparent="00-ab", baggage="k=v")
    copy = retry(original, QUEUE, 5.0)
    assert (copy.id, copy.type, copy.version) == (original.id, "stock.reserved", 2)
    assert (copy.exchange, copy.routing_key) == ("orders.direct", "orders.events.retry.5s")
    assert copy.mandatory
    assert copy.headers["traceparent"] == "00-ab"
    assert copy.headers["baggage"] == "k=v"
    assert copy.headers["x-weft-attempt"] == 3
    assert copy.headers["x-weft-exchange"] == "weft.events"
    assert copy.headers["x-weft-routing-key"] == "stock.reserved"


def test_the_first_failure_is_remembered_through_all_copies() -> None:
    first = retry(incoming(), QUEUE, 1.0).headers
    later = dead(incoming(4, **first), QUEUE, ValueError()).headers
    assert later["x-weft-first-failed-at"] == first["x-weft-first-failed-at"]


def test_a_dead_letter_has_the_fingerprint_of_its_last_error() -> None:
    error = ValueError("no")
    assert dead(incoming(4), QUEUE, error).headers["x-weft-fingerprint"] == fingerprint(error)


def test_the_broker_s_own_headers_are_not_carried_on() -> None:
    copy = again(incoming(**{"x-death": [{}], "x-delivery-count": 50, "own": "kept"}), QUEUE)
    assert "x-death" not in copy.headers
    assert "x-delivery-count" not in copy.headers
    assert copy.headers["own"] == "kept"
    assert (copy.routing_key, copy.headers["x-weft-attempt"]) == ("orders.events", 1)


def test_a_dead_letter_says_why() -> None:
    headers = dead(incoming(4), QUEUE, KeyError("sku")).headers
    assert headers["x-weft-reason"] == "attempts"
    assert headers["x-weft-error-type"] == "KeyError"
    assert headers["x-weft-attempts"] == 4
    assert dead(incoming(), QUEUE, Unparsable("no")).headers["x-weft-reason"] == "unparsable"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("first\nsecond: secret", "first"),
        ("at amqp://user:secret@host:1/v", "at amqp://***host:1/v"),
        ("token eyJhbGciOi.eyJzdWIi.c2ln here", "token *** here"),
        ("tok_declined was declined", "*** was declined"),
        ("card 4111 1111 1111 1111", "card ***"),
        ("card 4111111111111111.", "card ***."),
        *((text, text) for text in ("order 01a21449-b061-757e-9748-543566366648 is new",)),
        ("mail to jo.doe@example.org", "mail to ***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("order 4711 of SKU-0001", "order 4711 of SKU-0001"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_an_error_is_shown_bounded_and_without_secrets(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_type_too_long_to_carry_with_its_version_is_cut() -> None:
    long = msgspec.structs.replace(incoming(), type="ä" * 127, version=0)
    copy = dead(long, QUEUE, Unparsable("no"))
    assert publish_frames(copy, copy.headers, app_id="a", channel=1, frame_max=4096)


def test_queue_names_follow_the_service_and_the_delays() -> None:
    assert [name for name, _ in QUEUE.declarations()] == [
        "orders.events",
        "orders.events.retry.1s",
        "orders.events.retry.5s",
        "orders.events.retry.30s",
        "orders.events.dead",
    ]


def test_a_queue_that_a_service_does_not_declare_is_an_error() -> None:
    with pytest.raises(TopologyError, match=r"orders declares no queue orders\.commands"):
        ServiceTopology(service="orders", events=["stock.*"]).queue("orders.commands")


def test_back_off_is_random_below_a_doubling_bound() -> None:
    for _ in range(50):
        backoff = Backoff(first=1.0, longest=4.0)
        waits = [backoff.next() for _ in range(5)]
        assert all(0 <= wait <= bound for wait, bound in zip(waits, (1, 2, 4, 4, 4), strict=True))
        backoff.reset()
        assert backoff.next() <= 1
