"""Five thousand browsers in one process, which do nothing but count; and who tells them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final, cast

import msgspec

from benchmarks.bench import chassis
from benchmarks.bench.channel.replica import SOCKETS, USER
from benchmarks.bench.subject import Meter, Place, working
from services.reports.channel import UPDATES, Update
from weft.ids import uuid7
from weft.messaging import Outgoing, Publisher, ServiceTopology
from weft.messaging.packing import PackingPublisher

_AT_ONCE: Final = 100
_PAUSE: Final = 0.5
_PING: Final = 0x89
_PONG: Final = b"\x8a\x80\0\0\0\0"
_TRACE: Final = "00-{trace:032x}-{span:016x}-01"


class Browser(asyncio.Protocol):
    """A client that answers pings and tells `hub` of each message."""

    def __init__(self, user: str, hub: "Browsers") -> None:
        self._hub = hub
        self._waiting = bytearray()
        self._transport: asyncio.Transport | None = None
        self._user = user
        self.opened = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = opened = cast("asyncio.Transport", transport)
        opened.write(
            b"GET /v1/updates?after=0 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            + f"{USER}: {self._user}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Count the frames; the first thing is the answer to the upgrade."""
        waiting = self._waiting
        waiting += data
        if not self.opened.done():
            end = waiting.find(b"\r\n\r\n")
            if end < 0:
                return
            self.opened.set_result(bytes(waiting[9:12]))
            del waiting[: end + 4]
        while len(waiting) >= 2:  # noqa: PLR2004 - the head of a frame
            size, start = waiting[1], 2
            if size == 126:  # noqa: PLR2004 - the length follows
                size, start = int.from_bytes(waiting[2:4]), 4
            if len(waiting) < start + size:
                return
            if waiting[0] == _PING:
                if self._transport is not None:
                    self._transport.write(_PONG)
            else:
                self._hub.heard()
            del waiting[: start + size]

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody should be lost."""
        del exc
        self._hub.lost += 1

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()


class Browsers:
    """All of them."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._left = 0
        self._all = asyncio.Event()
        self.lost = 0

    def heard(self) -> None:
        """Count a message."""
        self._meter.units += 1
        self._left -= 1
        if self._left == 0:
            self._all.set()

    async def burst(self, publisher: PackingPublisher, number: int) -> float:
        """Tell every user something; return the seconds until all have heard it."""
        messages = [_update(user, number) for user in range(SOCKETS)]
        self._left = SOCKETS
        self._all.clear()
        began = time.monotonic()
        outcomes = await publisher.publish_batch(messages, traced=False)
        if any(outcomes) or self.lost:
            raise RuntimeError(f"{self.lost} sockets lost, or messages not published")
        await self._all.wait()
        return time.monotonic() - began


@asynccontextmanager
async def browsers(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Open the sockets, then tell all of them something again and again."""
    port, _, broker_url = place.address.partition(" ")
    hub = Browsers(meter)
    loop = asyncio.get_running_loop()
    opened: list[Browser] = []
    for start in range(0, SOCKETS, _AT_ONCE):
        several = [Browser(f"user-{start + n}", hub) for n in range(_AT_ONCE)]
        for one in several:
            await loop.create_connection(lambda one=one: one, "127.0.0.1", int(port))  # type: ignore[misc]
        answers = await asyncio.gather(*(one.opened for one in several))
        if set(answers) != {b"101"}:
            raise RuntimeError(f"no upgrade: {set(answers)}")
        opened += several
    topology = ServiceTopology(service="reports", fanouts=[UPDATES])
    async with chassis.broker(Place(broker=broker_url), topology) as broker:
        publisher = PackingPublisher(Publisher(broker), topology.fanouts)

        async def tell() -> None:
            number = 0
            while True:
                number += 1
                seconds = await hub.burst(publisher, number)
                meter.figures["burst_seconds"] = max(
                    seconds, meter.figures.get("burst_seconds", 0.0)
                )
                await asyncio.sleep(_PAUSE)

        async with working(tell()):
            yield
    for one in opened:
        one.close()


def _update(user: int, number: int) -> Outgoing:
    message = {
        "seq": number,
        "type": "report.running",
        "id": uuid7(),
        "at": datetime.now(UTC),
        "data": {"status": "running", "progress": 42, "stage": "transform"},
    }
    update = Update(
        subject=f"user-{user}",
        seq=number,
        type="report.running",
        message=msgspec.Raw(msgspec.json.encode(message)),
    )
    trace = _TRACE.format(trace=number * SOCKETS + user + 1, span=user + 1)
    return Outgoing(
        id=uuid7(),
        exchange=UPDATES,
        routing_key="update",
        type="channel.update",
        version=1,
        body=msgspec.json.encode(update),
        correlation_id="bench",
        headers={"traceparent": trace},
        at=time.time(),
    )
