"""Messages, handlers and an administrator's eyes on the real RabbitMQ."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import aiohttp
import aiormq
import pamqp.exceptions
import pamqp.frame
from aiormq.abc import DeliveredMessage
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pamqp.base import Frame
from pamqp.commands import Basic

from tests.ports import free_port
from weft.messaging import Command, Event, Incoming, Outgoing, outgoing
from weft.telemetry import record

SHORT = (0.05, 0.1, 0.2)
"""A retry ladder that a test can wait for, in seconds."""


class Ping(Command, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "Ping"
    number: int


class Pong(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "pong.seen"
    number: int


class Orphan(Command, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "Orphan"


def ping(number: int = 0) -> Outgoing:
    return outgoing(Ping(number=number), correlation_id=f"c-{number}")


def caused(number: int = 0) -> tuple[Outgoing, str]:
    """A message made while a request is served, and the trace id of that request."""
    with record.http_server("POST", "/v1/pings", port=1, headers={}) as call:
        return outgoing(Ping(number=number), correlation_id=f"c-{number}"), call.trace_id


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


async def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for `condition`, a function or coroutine function; TimeoutError says it never came."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        await asyncio.sleep(0.01)


class Collected:
    """A handler that keeps what it is given, and fails as told."""

    def __init__(self) -> None:
        self.messages: list[Incoming] = []
        self.raises: Callable[[Incoming], BaseException | None] = lambda _: None

    async def __call__(self, incoming: Incoming) -> Any:
        self.messages.append(incoming)
        error = self.raises(incoming)
        if error is not None:
            raise error
        return "processed"

    @property
    def attempts(self) -> list[int]:
        return [incoming.attempt for incoming in self.messages]


class Rabbit:
    """The broker as its administrator sees it."""

    def __init__(self, url: str, management_url: str) -> None:
        self._url = url
        self._management = management_url
        self.vhost = urlsplit(url).path[1:]
        self._connection: Any = None

    async def _channel(self) -> Any:
        if self._connection is None or self._connection.is_closed:
            self._connection = await aiormq.connect(self._url)
        return await self._connection.channel()

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def ready(self, queue: str) -> int:
        """Messages in `queue` that nobody holds."""
        channel = await self._channel()
        answer = await channel.queue_declare(queue, passive=True)
        await channel.close()
        return int(answer.message_count or 0)

    async def take(self, queue: str) -> DeliveredMessage:
        """Take one message out of `queue`, waiting for it."""
        channel = await self._channel()
        taken: list[DeliveredMessage] = []

        async def arrived() -> bool:
            message = await channel.basic_get(queue, no_ack=True)
            if not isinstance(message.delivery, Basic.GetEmpty):
                taken.append(message)
            return bool(taken)

        await until(arrived)
        await channel.close()
        return taken[0]

    async def take_all(self, queue: str) -> list[str]:
        """Take everything out of `queue`; return the messages' identities, in order."""
        channel = await self._channel()
        identities = []
        while True:
            message = await channel.basic_get(queue, no_ack=True)
            if isinstance(message.delivery, Basic.GetEmpty):
                await channel.close()
                return identities
            identities.append(message.header.properties.message_id or "")

    async def put_raw(self, queue: str, body: bytes, **properties: Any) -> None:
        """Publish what no chassis would, straight into `queue`."""
        channel = await self._channel()
        await channel.basic_publish(
            body, routing_key=queue, properties=Basic.Properties(**properties)
        )
        await channel.close()

    async def publish(self, exchange: str, routing_key: str) -> None:
        """Publish nothing in particular; raises what the broker says to it."""
        channel = await self._channel()
        await channel.basic_publish(b"{}", exchange=exchange, routing_key=routing_key)
        await channel.close()

    async def declare(self, queue: str) -> None:
        """Make a queue; raises what the broker says to it."""
        channel = await self._channel()
        await channel.queue_declare(queue, durable=True)
        await channel.close()

    async def reject(self, queue: str) -> None:
        """Take a message out of `queue` for the broker to put it aside."""
        channel = await self._channel()
        message = await channel.basic_get(queue)
        await channel.basic_reject(message.delivery.delivery_tag, requeue=False)
        await channel.close()

    async def api(self, method: str, path: str, body: object = None) -> Any:
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.request(method, f"{self._management}/api/{path}", json=body) as answer,
        ):
            text = await answer.text()
            return json.loads(text) if text else None

    async def kill_connections(self, named: str) -> int:
        """Close the service's connections whose name holds `named`; return how many there were."""
        killed = 0
        for connection in await self.api("GET", f"vhosts/{self.vhost}/connections"):
            if named in connection.get("client_properties", {}).get("connection_name", ""):
                await self.api("DELETE", f"connections/{quote(connection['name'], safe='')}")
                killed += 1
        return killed


class Wire:
    """A TCP relay in front of the broker that can be cut and mended."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._port = free_port()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._heard: list[bytearray] = []
        self._said: list[bytearray] = []
        user = f"{self._parts.username}:{self._parts.password}"
        self.url = self._parts._replace(netloc=f"{user}@127.0.0.1:{self._port}").geturl()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            self._writers.clear()
            self._server = None

    def say(self, frame: Frame) -> None:
        """Say something to the clients in the broker's name, while it is silent."""
        for writer in self._clients:
            writer.write(pamqp.frame.marshal(frame, 0))

    def heard(self, kind: type[Frame]) -> list[Frame]:
        """What the clients have said to the broker, of one kind."""
        return [frame for data in self._heard for frame in _frames(data) if isinstance(frame, kind)]

    def said(self, kind: type[Frame]) -> list[Frame]:
        """What the broker has said to the clients, of one kind."""
        return [frame for data in self._said for frame in _frames(data) if isinstance(frame, kind)]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(
            self._parts.hostname, self._parts.port
        )
        self._writers |= {writer, far_writer}
        self._clients.add(writer)
        self._heard.append(heard := bytearray())
        self._said.append(said := bytearray())
        await asyncio.gather(_copy(reader, far_writer, heard), _copy(far_reader, writer, said))


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray
) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            seen += data
            writer.write(data)
            await writer.drain()
    writer.close()


def _frames(data: bytearray) -> Iterator[Frame]:
    rest = bytes(data)
    while rest:
        try:
            used, _, frame = pamqp.frame.unmarshal(rest)
        except pamqp.exceptions.UnmarshalingException:
            return  # cut off in the middle
        if isinstance(frame, Frame):
            yield frame
        rest = rest[used:]
