"""Who listens here: gives each socket its user's messages, all of them, once and in order."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from services.reports import channel_store
from services.reports.channel import UPDATES, Update, shown
from weft.errors import Unavailable
from weft.http import WebSocket, text_frame
from weft.messaging.backoff import Backoff
from weft.messaging.packing import News
from weft.postgres import Database
from weft.telemetry import counter, get_logger, record

ROUTE: Final = "/v1/updates"
NOT_ALLOWED: Final = 4401
TOO_SLOW: Final = 4408
TOO_MANY: Final = 4429
TRY_LATER: Final = 1013
SLOW_SECONDS: Final = 10.0
"""How long a client may take for the messages of one page."""
PAGE: Final = 100
"""Messages that are read at once for a client that is behind."""
USERS_AT_ONCE: Final = 1000
FOREVER: Final = 365 * 86400.0

log = get_logger(__name__)
_decode = msgspec.json.Decoder(Update).decode
_sent = counter("weft.channel.messages", "{message}", "Messages sent to users' WebSockets.")
_dropped = counter("weft.channel.dropped", "{socket}", "WebSockets closed early, by close code.")


class Listener:
    """A socket, and how far it is: `last` was sent, `known` is the newest number heard of."""

    __slots__ = ("catching_up", "known", "last", "socket", "subject")

    def __init__(self, socket: WebSocket, subject: str, last: int) -> None:
        self.socket = socket
        self.subject = subject
        self.last = last
        self.known = 0
        self.catching_up: asyncio.Task[None] | None = None


class Hub:
    """The open sockets of this instance: `per_user` of a user, `most` in all.

    A message that follows what a socket has is sent at once. A gap, be it from the beginning or
    since the fan-out has lost something, is filled from the table; what was sent is never sent
    again.
    """

    def __init__(self, db: Database, *, per_user: int, most: int) -> None:
        self._db = db
        self._per_user = per_user
        self._most = most
        self._listeners: dict[str, set[Listener]] = {}
        self._count = 0
        self._closing: set[asyncio.Task[None]] = set()

    async def hold(self, socket: WebSocket, subject: str, after: int, until: float) -> None:
        """Serve a socket what comes after number `after`, until it ends or its token (`until`).

        `until` is in seconds since the epoch.
        """
        own = self._listeners.setdefault(subject, set())
        if len(own) >= self._per_user or self._count >= self._most:
            code = TOO_MANY if len(own) >= self._per_user else TRY_LATER
            self._tidy(subject)
            _dropped.add(1, {"code": code})
            await socket.close(code, "Too many are open.")
            return
        listener = Listener(socket, subject, after)
        own.add(listener)
        self._count += 1
        try:
            head = await channel_store.head(self._db, subject)
            if head < after:
                await self._reset(listener)
            self._wanted(listener, head)
            async with asyncio.timeout(min(until - time.time(), FOREVER)):
                while await socket.receive() is not None:
                    pass
        except TimeoutError:
            await socket.close(NOT_ALLOWED, "The token has ended.")
        except Unavailable:
            await socket.close(TRY_LATER, "Try again.")
        finally:
            self._forget(listener)
            self._count -= 1

    def heard(self, news: News) -> None:
        """Send a message to those of its user's sockets that it is the next one for."""
        update = _decode(news.body)
        own = self._listeners.get(update.subject)
        if not own:
            return
        with record.process(
            queue=UPDATES,
            routing_key="update",
            message_type=update.type,
            message_id=news.id,
            body_bytes=len(news.body),
            carrier=news.headers,
        ) as call:
            call.outcome = "processed"
            carrier = call.carrier
            body = bytes(update.message)
            for listener in tuple(own):
                if update.seq == listener.last + 1:
                    listener.known = max(listener.known, update.seq)
                    if not _send(listener, update.seq, update.type, body, carrier):
                        self._drop(listener)
                else:
                    self._wanted(listener, update.seq)

    async def catch_up(self) -> None:
        """Look for what was told while this instance did not hear. Raises Unavailable."""
        subjects = list(self._listeners)
        for start in range(0, len(subjects), USERS_AT_ONCE):
            heads = await channel_store.heads(self._db, subjects[start : start + USERS_AT_ONCE])
            for subject, seq in heads.items():
                for listener in self._listeners.get(subject, ()):
                    self._wanted(listener, seq)

    def _wanted(self, listener: Listener, seq: int) -> None:
        """Take note that there are messages up to `seq`, and read those that `listener` lacks."""
        listener.known = max(listener.known, seq)
        if listener.known > listener.last and listener.catching_up is None:
            task = asyncio.create_task(self._fill(listener), name="channel catch-up")
            listener.catching_up = task

    async def _fill(self, listener: Listener) -> None:
        backoff = Backoff()
        try:
            while listener.known > listener.last and listener.socket.is_open:
                try:
                    if not await self._page(listener):
                        self._drop(listener)
                        return
                    backoff.reset()
                except Unavailable:
                    await asyncio.sleep(backoff.next())
        except Exception as error:
            log.exception("catching up failed", error)
            self._drop(listener)
        finally:
            listener.catching_up = None

    async def _page(self, listener: Listener) -> bool:
        """Send what comes next out of the table; False if the client is too slow for it."""
        rows = await channel_store.after(self._db, listener.subject, listener.last, limit=PAGE)
        if not rows or rows[0].seq > listener.last + 1:
            await self._reset(listener)
            return True
        for row in rows:
            if row.seq != listener.last + 1:
                continue
            body, carrier = shown(row), {"traceparent": row.traceparent}
            if _send(listener, row.seq, row.type, body, carrier):
                continue
            # What is written at once may be too much for anybody: here there is time.
            if not await listener.socket.flushed(SLOW_SECONDS):
                return False
            if row.seq == listener.last + 1 and not _send(
                listener, row.seq, row.type, body, carrier
            ):
                return False
        return await listener.socket.flushed(SLOW_SECONDS)

    async def _reset(self, listener: Listener) -> None:
        """Tell a client that what it lacks is gone: it reads everything anew, and goes on."""
        head = await channel_store.head(self._db, listener.subject)
        listener.socket.offer(text_frame(msgspec.json.encode({"type": "reset", "seq": head})))
        listener.last = head
        listener.known = max(listener.known, head)

    def _drop(self, listener: Listener) -> None:
        """Close the socket of a client that is too slow; nothing more is kept for it."""
        self._forget(listener)
        _dropped.add(1, {"code": TOO_SLOW})
        task = asyncio.create_task(listener.socket.close(TOO_SLOW, "You read too slowly."))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _forget(self, listener: Listener) -> None:
        if listener.catching_up is not None and listener.catching_up is not asyncio.current_task():
            listener.catching_up.cancel()
        own = self._listeners.get(listener.subject)
        if own is not None:
            own.discard(listener)
        self._tidy(listener.subject)

    def _tidy(self, subject: str) -> None:
        if not self._listeners.get(subject):
            self._listeners.pop(subject, None)


def _send(listener: Listener, seq: int, kind: str, body: bytes, carrier: Mapping[str, str]) -> bool:
    """Send a message with a span of its own; False if the client is too far behind."""
    with record.websocket(ROUTE, message_type=kind, body_bytes=len(body), parent=carrier) as call:
        traceparent = call.carrier.get("traceparent", "")
        frame = text_frame(b'%b,"traceparent":"%b"}' % (body[:-1], traceparent.encode()))
        if not listener.socket.offer(frame):
            return False
    listener.last = seq
    _sent.add(1)
    return True
