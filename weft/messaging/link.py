"""One connection to the broker that comes back by itself."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import aio_pika
import aio_pika.abc
from aiormq.abc import AbstractConnection
from yarl import URL

from weft.errors import Unavailable
from weft.messaging.backoff import Backoff
from weft.messaging.errors import TopologyError
from weft.messaging.talk import LOST, talk

HEARTBEAT = 5
"""Seconds. A dead peer is noticed after three of them; a closed socket at once."""

_LIVED = 5.0
_FAILURES = (*LOST, TopologyError)

Setup = Callable[[aio_pika.abc.AbstractConnection], Awaitable[None]]


class Link:
    """Keeps one connection open. `setup` runs on each new connection before anybody gets it.

    aio-pika connects and sets up; publishers and consumers get the aiormq connection beneath it,
    whose channels cost half as much for each message.

    `changed(link, error)` is called with the error when the connection is lost or cannot be made,
    and with None when it is there.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        changed: Callable[["Link", BaseException | None], None],
        setup: Setup | None = None,
    ) -> None:
        # The library logs every failed try; the broker says it once, in its own words.
        for library in ("aio_pika", "aiormq"):
            logging.getLogger(library).setLevel(logging.CRITICAL)
        options = urlencode({"heartbeat": HEARTBEAT, "name": name})
        self._url = f"{url}{'&' if '?' in url else '?'}{options}"
        self.name = name
        self._changed = changed
        self._setup = setup
        self._opened: aio_pika.abc.AbstractConnection | None = None
        self._connection: AbstractConnection | None = None
        self._there = asyncio.Event()
        self._first: asyncio.Future[None] | None = None
        self._supervisor: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect and wait until connected. Raises TopologyError if `setup` is refused."""
        self._first = asyncio.get_running_loop().create_future()
        self._supervisor = asyncio.create_task(self._supervise(), name=f"{self.name} link")
        await self._first

    async def stop(self) -> None:
        """Close the connection and stay away."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        self._there.clear()
        opened, self._opened, self._connection = self._opened, None, None
        if opened is not None:
            with contextlib.suppress(*_FAILURES):
                await talk(opened.close())

    async def connection(self) -> AbstractConnection:
        """Return the connection, waiting for one as long as it takes."""
        while self._connection is None:
            await self._there.wait()
        return self._connection

    def connection_now(self) -> AbstractConnection:
        """Return the connection; raises Unavailable if there is none at this moment."""
        if self._connection is None:
            raise Unavailable(self.name, "not connected")
        return self._connection

    def opened_now(self) -> aio_pika.abc.AbstractConnection:
        """Return the connection as aio-pika has it; raises Unavailable if there is none."""
        if self._opened is None or self._connection is None:
            raise Unavailable(self.name, "not connected")
        return self._opened

    async def _supervise(self) -> None:
        backoff = Backoff()
        clock = asyncio.get_running_loop().time
        while True:
            try:
                connection = await self._open()
            except _FAILURES as error:
                self._failed(error)
                await asyncio.sleep(backoff.next())
                continue
            since = clock()
            self._changed(self, await self._until_lost(connection))
            if clock() - since > _LIVED:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _open(self) -> AbstractConnection:
        opened = aio_pika.Connection(URL(self._url))
        try:
            await talk(opened.connect())
            if self._setup is not None:
                await self._setup(opened)
        except BaseException:
            with contextlib.suppress(*LOST):
                await talk(opened.close())
            raise
        if opened.transport is None:
            raise ConnectionError("connection closed")
        self._opened = opened
        return opened.transport.connection

    async def _until_lost(self, connection: AbstractConnection) -> BaseException:
        self._connection = connection
        self._there.set()
        self._changed(self, None)
        if self._first is not None and not self._first.done():
            self._first.set_result(None)
        done, _ = await asyncio.wait([connection.closing])
        self._there.clear()
        self._connection = None
        ended = done.pop()
        known = None if ended.cancelled() else ended.exception()
        return known or ConnectionError("connection closed")

    def _failed(self, error: BaseException) -> None:
        """Let the first `start` raise what no waiting mends; after it, all are outages."""
        if isinstance(error, TopologyError) and self._first is not None and not self._first.done():
            self._first.set_exception(error)
        self._changed(self, error)


def is_blocked(connection: AbstractConnection) -> bool:
    """Tell whether the broker has said that it reads no more publishes on `connection`.

    The library offers the fact only as a coroutine that waits while blocked; one step shows it.
    """
    waiting = connection.ready().__await__()
    try:
        next(waiting)
    except StopIteration:
        return False
    waiting.close()
    return True
