"""How the services are and what they did last, asked of themselves, all at once."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

import msgspec

from weft.errors import Unavailable
from weft.health import Dependency, Report
from weft.http import BreakerPolicy, HttpClient

DEADLINE: Final = 2.0
"""Seconds for a service's answer: its own checks take up to one."""
RECENT: Final = 50
"""Orders that are shown."""
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


class _Orders(msgspec.Struct):
    orders: list[Order]


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
        answer = await self._clients["orders"].request(
            "GET", "/ops/orders", query={"limit": RECENT}, headers={"Authorization": bearer}
        )
        if answer.status != _OK:
            raise Unavailable("orders", f"it answered {answer.status}")
        try:
            return answer.json(_Orders).orders
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unavailable("orders", "its answer is no list of orders") from None


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
