"""Replicas of the channel's part of reports in this process, on the real broker and database."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

import services.reports
from services.reports import channel_api
from services.reports.channel import UPDATES, Channel
from services.reports.channel_hub import Hub
from weft.http import Authenticator, HttpServer, TokenSigner, new_private_key
from weft.messaging import Broker, Fanout, Publisher, ServiceTopology
from weft.messaging.packing import PackingPublisher
from weft.postgres import Database, Outbox, Relay
from weft.webhooks import Webhooks

SCHEMA = Path(services.reports.__file__).with_name("schema")
DEADLINE = 60.0
PER_USER = 3


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)


class Keys:
    """The keys of local tokens."""

    def __init__(self, folder: Path) -> None:
        self.signer = TokenSigner(new_private_key())
        self.path = folder / "jwks.json"
        self.path.write_bytes(msgspec.json.encode(self.signer.jwks()))

    def header(self, subject: str, *scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.signer.mint(subject, scopes, 600).token}"}


class Replica:
    """One instance: all of reports that a channel needs, and a port of its own."""

    def __init__(self, database_url: str, broker_url: str, keys: Keys) -> None:
        self.db = Database(database_url, schema=SCHEMA, pool_size=5)
        self.broker = Broker(broker_url, ServiceTopology(service="reports", fanouts=[UPDATES]))
        self.relay = Relay(self.db, PackingPublisher(Publisher(self.broker), [UPDATES]))
        self.channel = Channel(Outbox(self.db), Webhooks(self.db))
        self.hub = Hub(self.db, per_user=PER_USER, most=50)
        self.fanout = self.new_fanout()
        self.server = HttpServer(
            "reports",
            channel_api.routes(self.db, self.hub),
            port=0,
            auth=Authenticator(str(keys.path)),
            drain_timeout=1.0,
        )

    def new_fanout(self) -> Fanout:
        return Fanout(self.broker, UPDATES, self.heard, connected=self.hub.catch_up)

    def heard(self, news: Any) -> None:
        self.hub.heard(news)

    async def start(self) -> None:
        for part in (self.db, self.broker, self.relay, self.fanout, self.server):
            await part.start()
        self.server.open()

    async def stop(self) -> None:
        for part in (self.server, self.fanout, self.relay, self.broker, self.db):
            await part.stop()

    async def tell(self, user: str, id: str, data: Any = None) -> int:  # noqa: A002
        async with self.db.transaction() as tx:
            return await self.channel.publish(
                tx, user=user, type="report.running", id=id, data=data
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/v1/updates"


class Browser:
    """A client that keeps what it hears, and knows how far it is."""

    def __init__(self, session: aiohttp.ClientSession, headers: dict[str, str]) -> None:
        self._session = session
        self._headers = headers
        self.heard: list[dict[str, Any]] = []
        self.last = 0
        self.code: int | None = None
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, url: str, *, after: int | None = None, query: str = "") -> None:
        """Connect; `after` is by default how far this browser is."""
        asked = self.last if after is None else after
        self.socket = await self._session.ws_connect(
            f"{url}?after={asked}{query}", headers=self._headers
        )
        self._task = asyncio.create_task(self._listen(self.socket))

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            told = msgspec.json.decode(message.data)
            self.heard.append(told)
            self.last = told["seq"]
        self.code = socket.close_code

    async def cut(self) -> None:
        """Lose the connection, without a farewell."""
        assert self.socket is not None
        assert self._task is not None
        connection = self.socket._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        await self._task

    async def closed(self) -> int | None:
        """Return the code with which the other side closes."""
        assert self._task is not None
        await asyncio.wait_for(self._task, DEADLINE)
        return self.code

    async def close(self) -> None:
        if self.socket is not None:
            await self.socket.close()
        if self._task is not None:
            await self._task

    @property
    def seqs(self) -> list[int]:
        return [told["seq"] for told in self.heard]
