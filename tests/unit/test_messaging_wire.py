"""The bytes of a publish, held against the client library's own decoder."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from weft.messaging.message import Outgoing
from weft.messaging.wire import ack_frame, nack_frame, publish_frames

MESSAGE = Outgoing(
    id="019a0d4b-5f10-7c4e-8a3e-0a8f5a3c9b11",
    exchange="weft.commands",
    routing_key="ReserveStock",
    type="ReserveStock",
    version=2,
    body=b'{"sku":"SKU-0001"}',
    correlation_id="order-1",
    headers={},
    mandatory=True,
    at=1_790_000_000.75,
)
SHORT_TEXT = st.text(max_size=60)
HEADERS = st.dictionaries(
    SHORT_TEXT, st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1)), max_size=5
)


def frames(data: bytes) -> list[Any]:
    found = []
    while data:
        used, channel, frame = pamqp.frame.unmarshal(data)
        assert channel == 7
        found.append(frame)
        data = data[used:]
    return found


def published(message: Outgoing, headers: dict[str, str | int], frame_max: int = 4096) -> list[Any]:
    data = publish_frames(message, headers, app_id="orders", channel=7, frame_max=frame_max)
    return frames(data)


def test_a_publish_is_method_header_and_body() -> None:
    method, header, body = published(MESSAGE, {"traceparent": "00-ab", "x-weft-attempt": 2})
    assert isinstance(method, Basic.Publish)
    assert (method.exchange, method.routing_key) == ("weft.commands", "ReserveStock")
    assert method.mandatory
    assert not method.immediate
    assert isinstance(header, ContentHeader)
    assert header.body_size == len(MESSAGE.body)
    properties = header.properties
    assert properties.headers == {"traceparent": "00-ab", "x-weft-attempt": 2}
    assert properties.content_type == "application/json"
    assert properties.delivery_mode == 2
    assert properties.message_id == MESSAGE.id
    assert properties.message_type == "ReserveStock.v2"
    assert properties.correlation_id == "order-1"
    assert properties.app_id == "orders"
    assert properties.timestamp == datetime.fromtimestamp(1_790_000_000, UTC)
    assert (properties.reply_to, properties.priority) == (None, None)
    assert isinstance(body, ContentBody)
    assert body.value == MESSAGE.body


@given(
    exchange=SHORT_TEXT,
    routing_key=SHORT_TEXT,
    reply_to=st.none() | SHORT_TEXT,
    priority=st.none() | st.integers(0, 255),
    mandatory=st.booleans(),
    headers=HEADERS,
    body=st.binary(max_size=9000),
)
def test_whatever_is_published_is_read_back_the_same(
    exchange: str,
    routing_key: str,
    reply_to: str | None,
    priority: int | None,
    mandatory: bool,
    headers: dict[str, str | int],
    body: bytes,
) -> None:
    message = msgspec.structs.replace(
        MESSAGE,
        exchange=exchange,
        routing_key=routing_key,
        reply_to=reply_to,
        priority=priority,
        mandatory=mandatory,
        body=body,
    )
    method, header, *bodies = published(message, headers)
    assert (method.exchange, method.routing_key) == (exchange, routing_key)
    assert method.mandatory == mandatory
    assert header.properties.headers == headers
    assert header.properties.reply_to == reply_to
    assert header.properties.priority == priority
    assert b"".join(part.value for part in bodies) == body
    assert all(len(part.value) <= 4096 - 8 for part in bodies)


def test_a_text_too_long_for_the_protocol_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="255 bytes"):
        published(msgspec.structs.replace(MESSAGE, routing_key="ä" * 128), {})


def test_settlements_are_what_the_library_reads() -> None:
    (one,) = frames(ack_frame(7, 12, multiple=False))
    (many,) = frames(ack_frame(7, 2**40, multiple=True))
    (back,) = frames(nack_frame(7, 3))
    assert isinstance(one, Basic.Ack)
    assert (one.delivery_tag, one.multiple) == (12, False)
    assert isinstance(many, Basic.Ack)
    assert (many.delivery_tag, many.multiple) == (2**40, True)
    assert isinstance(back, Basic.Nack)
    assert (back.delivery_tag, back.multiple, back.requeue) == (3, False, True)
