"""Which acknowledgements are sent for which order of completion."""

import asyncio
from typing import Any

import pamqp.frame
from hypothesis import given
from hypothesis import strategies as st

from weft.messaging.acks import Acks


class Clock:
    """A loop whose time stands still: timers never fire."""

    def call_later(self, *_: object) -> None:
        return None


class Channel:
    """A channel that keeps what would be written, and the deliveries that the broker waits for."""

    def __init__(self, deliveries: int, room: int = 0) -> None:
        self.number = 1
        self.is_closed = False
        self.loop = Clock()
        self.write_queue: asyncio.Queue[Any] = asyncio.Queue(room)
        self.open = set(range(1, deliveries + 1))
        self.sent: list[tuple[int, bool]] = []

    def read(self) -> None:
        """Do with what is written as RabbitMQ does; a wrong one closes the channel."""
        while not self.write_queue.empty():
            data = self.write_queue.get_nowait().payload
            while data:
                used, _, frame = pamqp.frame.unmarshal(data)
                data = data[used:]
                assert frame.delivery_tag in self.open, "unknown delivery tag"
                self.sent.append((frame.delivery_tag, frame.multiple))
                low = 0 if frame.multiple else frame.delivery_tag - 1
                self.open -= set(range(low + 1, frame.delivery_tag + 1))


def acks(channel: Channel, every: int = 4) -> Acks:
    return Acks(channel, every=every, interval=60)  # type: ignore[arg-type]


def test_a_row_is_acknowledged_in_one_frame() -> None:
    channel = Channel(8)
    settlements = acks(channel)
    for tag in range(1, 9):
        settlements.ack(tag)
    channel.read()
    assert channel.sent == [(4, True), (8, True)]
    assert channel.open == set()


def test_nothing_above_an_open_delivery_is_acknowledged_with_it() -> None:
    channel = Channel(6)
    settlements = acks(channel, every=2)
    for tag in (1, 2, 4, 5, 6):
        settlements.ack(tag)
    channel.read()
    assert channel.sent == [(2, True)]
    settlements.flush()
    channel.read()
    assert channel.open == {3}
    settlements.ack(3)
    settlements.flush()
    channel.read()
    assert channel.open == set()


def test_what_was_given_back_is_not_acknowledged() -> None:
    channel = Channel(3)
    settlements = acks(channel)
    settlements.ack(1)
    settlements.forget(2)
    channel.open.discard(2)
    settlements.ack(3)
    settlements.flush()
    channel.read()
    assert channel.sent == [(3, True)]


def test_a_full_connection_delays_acknowledgements_and_loses_none() -> None:
    channel = Channel(8, room=1)
    settlements = acks(channel)
    for tag in range(1, 9):
        settlements.ack(tag)
    channel.read()
    assert channel.open == {5, 6, 7, 8}
    settlements.flush()
    channel.read()
    assert channel.open == set()


def test_a_closed_channel_is_sent_nothing() -> None:
    channel = Channel(2)
    settlements = acks(channel)
    settlements.ack(1)
    channel.is_closed = True
    settlements.ack(2)
    settlements.flush()
    assert channel.write_queue.empty()


@given(
    order=st.permutations(range(1, 21)),
    given_back=st.sets(st.integers(1, 20)),
    flushes=st.sets(st.integers(0, 19)),
    every=st.integers(1, 8),
)
def test_each_delivery_is_settled_exactly_once_in_any_order(
    order: list[int], given_back: set[int], flushes: set[int], every: int
) -> None:
    channel = Channel(20)
    settlements = acks(channel, every)
    for step, tag in enumerate(order):
        if tag in given_back:
            settlements.forget(tag)
            channel.open.discard(tag)
        else:
            settlements.ack(tag)
        if step in flushes:
            settlements.flush()
        channel.read()
    settlements.flush()
    channel.read()
    assert channel.open == set()
