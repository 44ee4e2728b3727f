"""The broker as its administrator sees it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import aiormq
from aiormq.abc import AbstractChannel
from pamqp.commands import Basic

from weft.messaging import talk

VHOST: Final = "weft"
PLANTED: Final = b"{ this is no JSON"
LOST: Final = (*talk.LOST, aiohttp.ClientError)


class Rabbit:
    """Management API and AMQP of one broker; `url` without a path."""

    def __init__(self, http: aiohttp.ClientSession, management: str, url: str) -> None:
        self._http = http
        self._management = management
        self._url = f"{url.rstrip('/')}/{VHOST}"

    async def api(self, method: str, path: str, body: object = None) -> Any:
        """Ask the management API; raises aiohttp.ClientError, TimeoutError."""
        timeout = aiohttp.ClientTimeout(total=10)
        async with self._http.request(
            method, f"{self._management}/api/{path}", json=body, timeout=timeout
        ) as answer:
            if method == "DELETE" and answer.status == HTTPStatus.NOT_FOUND:
                return None
            answer.raise_for_status()
            text = await answer.text()
            return json.loads(text) if text else None

    @contextlib.asynccontextmanager
    async def channel(self, *, confirms: bool = False) -> AsyncIterator[AbstractChannel]:
        """A channel on a connection of its own."""
        async with asyncio.timeout(10):
            connection = await aiormq.connect(self._url)
        try:
            yield await connection.channel(publisher_confirms=confirms)
        finally:
            with contextlib.suppress(*LOST):
                await connection.close()

    async def drop_connections(self) -> int:
        """Close every AMQP connection; return how many there were."""
        connections = await self.api("GET", f"vhosts/{VHOST}/connections?columns=name")
        for connection in connections:
            await self.api("DELETE", f"connections/{quote(connection['name'], safe='')}")
        return len(connections)

    async def limit(self, queue: str, messages: int) -> None:
        """Let `queue` hold no more than `messages`: further ones are refused."""
        definition = {"max-length": messages}
        pattern = f"^{queue.replace('.', '[.]')}$"
        policy = {"pattern": pattern, "definition": definition, "apply-to": "queues"}
        await self.api("PUT", f"policies/{VHOST}/chaos-full", {**policy, "priority": 100})

    async def unlimit(self) -> None:
        await self.api("DELETE", f"policies/{VHOST}/chaos-full")

    async def alarmed(self) -> bool:
        """Whether the node blocks publishers for want of memory."""
        (node,) = await self.api("GET", "nodes")
        return bool(node.get("mem_alarm"))

    async def plant(self, exchange: str, routing_key: str, message_id: str) -> None:
        """Publish what nobody can parse, confirmed."""
        async with self.channel(confirms=True) as channel:
            kind = f"{routing_key}.v1"
            properties = Basic.Properties(message_id=message_id, message_type=kind, delivery_mode=2)
            await channel.basic_publish(
                PLANTED, exchange=exchange, routing_key=routing_key, properties=properties
            )

    async def delete(self, queue: str) -> None:
        await self.api("DELETE", f"queues/{VHOST}/{quote(queue, safe='')}")

    async def queues(self) -> list[dict[str, Any]]:
        """Name, ready and unacknowledged messages of every queue."""
        columns = "name,messages_ready,messages_unacknowledged"
        found: list[dict[str, Any]] = await self.api("GET", f"queues/{VHOST}?columns={columns}")
        return found

    async def dead(self, queue: str, most: int = 1000) -> list[str]:
        """The identities of what is in a dead-letter queue, which stays there."""
        body = {"count": most, "ackmode": "ack_requeue_true", "encoding": "auto"}
        path = f"queues/{VHOST}/{quote(queue, safe='')}/get"
        found = await self.api("POST", path, body)
        return [str(one["properties"].get("message_id")) for one in found]
