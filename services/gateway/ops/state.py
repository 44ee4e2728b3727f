"""How the services are and what they did last, asked of themselves, all at once."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal, TypeVar

import msgspec

from weft.errors import Unavailable
from weft.health import Dependency, Report
from weft.http import BreakerPolicy, HttpClient

DEADLINE: Final = 2.0
"""Seconds for a service's answer: its own checks take up to one."""
RECENT: Final = 50
"""Orders and messages that are shown."""
_OK: Final = 200
_READINESS: Final = {"jaeger": "/api/services", "loki": "/ready"}
_ALWAYS_ASK: Final = BreakerPolicy(failure_ratio=2.0)
"""A circuit that never opens: what is away is what this is about."""


class State(msgspec.Struct, frozen=True):
    """A service, or a backend: `why` says what is wrong."""

    name: str
    state: Literal["ready", "not ready", "away"]
    why: str | None = None
    dependencies: tuple[Dependency, ...] = ()


class Money(msgspec.Struct, frozen=True):
    amount: str
    currency: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the service orders tells operators of it."""

    order_id: str
    subject: str
    status: str
    reason: str | None
    total: Money
    placed_at: datetime
    finished_at: datetime | None
    trace_id: str


class Alert(msgspec.Struct, frozen=True):
    annotations: dict[str, str]


class Delivery(msgspec.Struct, frozen=True):
    channel: str
    state: str
    error: str | None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A message to people, as the notifier tells operators of it."""

    identity: str
    at: datetime
    status: str
    severity: str
    title: str
    alerts: list[Alert]
    deliveries: list[Delivery]


class _Orders(msgspec.Struct):
    orders: list[Order]


class _Inbox(msgspec.Struct):
    notices: list[Told]


T = TypeVar("T")


class States:
    """Component. Asks services and backends, given by name and URL."""

    name = "states of the services"

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._clients = {
            name: HttpClient(url, name=name, timeout=DEADLINE, retries=0, breaker=_ALWAYS_ASK)
            for name, url in urls.items()
        }

    async def start(self) -> None:
        """Make the pools of connections; nobody needs to be there."""
        for client in self._clients.values():
            await client.start()

    async def check(self) -> None:
        """Say nothing against a service being away: to tell so is what this is for."""

    async def stop(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.stop()

    async def all(self) -> list[State]:
        """Return how each one is now."""
        return list(await asyncio.gather(*(_ask(each) for each in self._clients.values())))

    async def orders(self, bearer: str) -> list[Order]:
        """Return the newest orders of all users; raise Unavailable."""
        return (await self._listed("orders", "/ops/orders", _Orders, bearer)).orders

    async def inbox(self, bearer: str) -> list[Told]:
        """Return the newest messages to people; raise Unavailable."""
        return (await self._listed("notifier", "/ops/inbox", _Inbox, bearer)).notices

    async def _listed(self, service: str, path: str, into: type[T], bearer: str) -> T:
        answer = await self._clients[service].request(
            "GET", path, query={"limit": RECENT}, headers={"Authorization": bearer}
        )
        if answer.status != _OK:
            raise Unavailable(service, f"it answered {answer.status}")
        try:
            return answer.json(into)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unavailable(service, "its answer is no such list") from None


async def _ask(client: HttpClient) -> State:
    try:
        answer = await client.request("GET", _READINESS.get(client.name, "/readyz"))
    except Unavailable as away:
        return State(client.name, "away", away.why)
    if client.name in _READINESS:
        ready = answer.status == _OK
        return State(client.name, "ready" if ready else "not ready", _why(ready, answer.status))
    try:
        report = answer.json(Report)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return State(client.name, "not ready", f"it answered {answer.status}")
    needs = report.dependencies
    ready = answer.status == _OK
    missing = ", ".join(each.name for each in needs if not each.ok)
    return State(client.name, "ready" if ready else "not ready", missing or None, needs)


def _why(ready: bool, status: int) -> str | None:
    return None if ready else f"it answered {status}"
