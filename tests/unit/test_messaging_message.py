"""Identity and schema versions of messages."""

import contextlib
from collections.abc import Mapping
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.messaging import Command, Event, NotYetKnown, Unparsable, decode, outgoing
from weft.messaging.message import Upcaster


class Reserve(Command, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "Reserve"
    sku: str


class Reserved(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "stock.reserved"
    message_version: ClassVar[int] = 3
    upcasters: ClassVar[Mapping[int, Upcaster]] = {
        1: lambda old: {"sku": old["code"]},
        2: lambda old: {**old, "quantity": 1},
    }
    sku: str
    quantity: int


def test_a_command_is_mandatory_and_goes_to_the_commands() -> None:
    message = outgoing(Reserve(sku="A"), correlation_id="c", carrier={"traceparent": "t"})
    assert (message.exchange, message.routing_key) == ("weft.commands", "Reserve")
    assert message.mandatory
    assert message.body == b'{"sku":"A"}'
    assert message.headers == {"traceparent": "t"}


def test_an_event_is_not_mandatory_and_goes_to_the_events() -> None:
    message = outgoing(Reserved(sku="A", quantity=2), correlation_id="c")
    assert (message.exchange, message.routing_key) == ("weft.events", "stock.reserved")
    assert not message.mandatory
    assert message.version == 3


def test_each_message_has_an_identity_of_its_own() -> None:
    ids = [outgoing(Reserve(sku="A"), correlation_id="c").id for _ in range(1000)]
    assert ids == sorted(set(ids))


def test_what_the_protocol_cannot_carry_is_refused_when_the_message_is_made() -> None:
    with pytest.raises(ValueError, match="correlation_id"):
        outgoing(Reserve(sku="A"), correlation_id="c" * 256)
    with pytest.raises(ValueError, match="reply_to"):
        outgoing(Reserve(sku="A"), correlation_id="c", reply_to="ä" * 128)
    with pytest.raises(ValueError, match="priority"):
        outgoing(Reserve(sku="A"), correlation_id="c", priority=256)


@pytest.mark.parametrize(
    ("version", "body", "quantity"),
    [
        (1, b'{"code":"A"}', 1),
        (2, b'{"sku":"A"}', 1),
        (3, b'{"sku":"A","quantity":2}', 2),
        (4, b'{"sku":"A","quantity":2,"added":"later"}', 2),
    ],
)
def test_every_version_is_read_as_the_current_one(version: int, body: bytes, quantity: int) -> None:
    assert decode(Reserved, version, body) == Reserved(sku="A", quantity=quantity)


@pytest.mark.parametrize(
    ("version", "body"),
    [
        (3, b"{}"),
        (3, b"not json"),
        (3, b'{"sku":"\xff","quantity":1}'),
        (3, b'{"sku":"A","quantity":"many"}'),
        (3, b'{"sku":' + b"[" * 100_000),
        (2, b"[]"),
        (1, b"{}"),
        (0, b'{"sku":"A","quantity":1}'),
    ],
)
def test_what_is_not_the_message_is_unparsable(version: int, body: bytes) -> None:
    with pytest.raises(Unparsable):
        decode(Reserved, version, body)


def test_a_newer_version_that_does_not_fit_ours_is_left_to_a_newer_service() -> None:
    with pytest.raises(NotYetKnown):
        decode(Reserved, 4, b'{"product":{"sku":"A"},"quantity":2}')


@given(version=st.integers(0, 5), body=st.binary())
def test_no_bytes_raise_anything_but_what_is_said(version: int, body: bytes) -> None:
    with contextlib.suppress(Unparsable, NotYetKnown):
        decode(Reserved, version, body)
