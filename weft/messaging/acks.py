"""Acknowledgements in batches: one `multiple` for all deliveries below the oldest open one."""

import asyncio
from collections.abc import Iterable

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel

from weft.messaging.wire import ack_frame
from weft.telemetry.calls import Settling

EVERY = 32
"""So many acknowledgements in a row are sent at once."""

INTERVAL = 0.005
"""Seconds that an acknowledgement waits for others at most."""

_PAUSE = 0.001


class Acks:
    """The settlements of one channel, whose deliveries are numbered 1, 2, 3 ... without gaps."""

    def __init__(self, channel: Channel, *, every: int = EVERY, interval: float = INTERVAL) -> None:
        self._channel = channel
        self._every = every
        self._interval = interval
        self._oldest = 1
        self._done: dict[int, Settling | None] = {}
        self._gone: set[int] = set()
        self._row: list[Settling | None] = []
        self._row_end = 0
        self._timer: asyncio.TimerHandle | None = None

    def ack(self, tag: int, call: Settling | None = None) -> None:
        """Acknowledge delivery `tag` soon; `call`, if any, ends when that is sent."""
        self._done[tag] = call
        self._advance()
        if len(self._row) >= self._every:
            self._send(ahead=False)
        self._arm()

    def forget(self, tag: int) -> None:
        """Delivery `tag` was given back: it is nobody's to acknowledge."""
        self._gone.add(tag)
        self._advance()

    def flush(self) -> None:
        """Send all that is to be sent, as far as the connection has room."""
        self._send(ahead=True)

    async def drain(self) -> None:
        """Send all that is to be sent, now."""
        while (self._row or self._done) and not self._channel.is_closed:
            self.flush()
            await asyncio.sleep(_PAUSE)

    def lost(self, error: BaseException) -> None:
        """The channel is gone; the broker delivers what was not acknowledged again."""
        if self._timer is not None:
            self._timer.cancel()
        calls = [*self._row, *self._done.values()]
        self._row.clear()
        self._done.clear()
        _end(calls, error)

    def _advance(self) -> None:
        while True:
            if self._oldest in self._done:
                self._row.append(self._done.pop(self._oldest))
                self._row_end = self._oldest
            elif self._oldest in self._gone:
                self._gone.remove(self._oldest)
            else:
                return
            self._oldest += 1

    def _arm(self) -> None:
        if self._timer is None and (self._row or self._done):
            self._timer = self._channel.loop.call_later(self._interval, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.flush()
        self._arm()

    def _send(self, *, ahead: bool) -> None:
        """Send the row in one frame and, if `ahead`, those behind an open delivery one by one."""
        channel = self._channel
        if channel.is_closed:
            self.lost(ConnectionError("channel closed"))
            return
        if channel.write_queue.full():
            return
        frames = []
        calls, self._row = self._row, []
        if calls:
            frames.append(ack_frame(channel.number, self._row_end, multiple=True))
        if ahead:
            for tag, call in self._done.items():
                frames.append(ack_frame(channel.number, tag, multiple=False))
                calls.append(call)
            self._gone.update(self._done)
            self._done.clear()
        if frames:
            channel.write_queue.put_nowait(ChannelFrame(b"".join(frames), should_close=False))
        _end(calls, None)


def _end(calls: Iterable[Settling | None], error: BaseException | None) -> None:
    for call in calls:
        if call is not None:
            call.end(error)
