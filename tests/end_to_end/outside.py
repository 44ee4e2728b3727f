"""The public door as a stranger's program sees it: statuses, headers and bytes."""

import asyncio
import json
import secrets
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec
from multidict import CIMultiDictProxy
from yarl import URL

EVERY_SCOPE = ("orders:read", "orders:write", "inventory:write")
PROBLEM = "application/problem+json"


class Running(Protocol):
    environment: dict[str, str]
    variables: dict[str, str]

    def url(self, name: str) -> str: ...
    def token(self, subject: str, scopes: Any) -> str: ...
    def weft(self, *arguments: str, seconds: float = 100) -> Any: ...


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: CIMultiDictProxy[str] | dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def paths(self) -> list[str]:
        """Where the wrong fields are."""
        return [error["path"] for error in self.json["errors"]]


class Door:
    """The gateway for one caller; without a token, for a stranger."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, token: str | None, subject: str = ""
    ) -> None:
        self.url = url
        self.subject = subject
        self.token = token
        self._session = session

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; `body` is sent as it is if it is bytes, else as JSON."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        async with self._session.request(
            method, URL(self.url + path, encoded=True), data=body, headers=sent
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.ask("GET", path, headers=headers)

    async def place(
        self,
        body: Any,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask for an order, with a key of its own if none is given."""
        named = {"Idempotency-Key": key or str(uuid.uuid4()), **(headers or {})}
        return await self.ask("POST", "/v1/orders", body, named)

    async def put(self, sku: str, *, stock: int, amount: str = "2.50") -> Answer:
        price = {"amount": amount, "currency": "EUR"}
        product = {"name": "a test's product", "price": price, "stock": stock}
        return await self.ask("PUT", f"/v1/products/{sku}", product)

    async def product(self, *, stock: int, amount: str = "2.50") -> str:
        """Make a product that nobody else orders; return its SKU."""
        sku = f"API-{secrets.token_hex(6)}"
        answer = await self.put(sku, stock=stock, amount=amount)
        assert answer.status == 201, answer.body
        return sku

    async def finished(self, order_id: str, seconds: float = 60) -> dict[str, Any]:
        """Return the order once it has come to its end."""
        async with asyncio.timeout(seconds):
            while True:
                answer = await self.get(f"/v1/orders/{order_id}")
                assert answer.status == 200, answer.body
                order: dict[str, Any] = answer.json
                if order["status"] != "pending":
                    return order
                await asyncio.sleep(0.1)

    async def numbers(self, sku: str) -> tuple[int, int]:
        """Return what can be sold of a product, and what is reserved."""
        product = (await self.get(f"/v1/products/{sku}")).json
        return product["stock"], product["reserved"]


def an_order(sku: str, quantity: int = 1, token: str = "tok_ok") -> dict[str, Any]:  # noqa: S107 - no password
    return {"items": [{"sku": sku, "quantity": quantity}], "payment": {"token": token}}


async def raw(url: str, sent: bytes, seconds: float = 60) -> Answer:
    """Send bytes over a connection of their own and read the first answer to them."""
    where = urlsplit(url)
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            writer.write(sent)
            with suppress(ConnectionError):
                await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status, *lines = head.strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            return Answer(int(status.split()[1]), headers, body)
        finally:
            writer.close()


def is_problem(answer: Answer, status: int) -> None:
    """Assert that this is an error by RFC 9457, with the ids that every answer has."""
    assert answer.status == status, answer.body[:500]
    assert answer.headers["content-type"] == PROBLEM
    document = answer.json
    assert document["status"] == status
    for member in ("type", "title", "detail"):
        assert isinstance(document[member], str), document
        assert document[member], document
    for error in document.get("errors", []):
        assert error.keys() == {"path", "message"}
        assert error["path"] == "" or error["path"].startswith("/")
    has_ids(answer)


def has_ids(answer: Answer) -> None:
    """Assert that an answer can be found again."""
    trace_id = answer.headers["x-trace-id"]
    assert len(trace_id) == 32
    assert set(trace_id) <= set("0123456789abcdef")
    assert answer.headers["x-request-id"]
