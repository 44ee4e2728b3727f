"""The four clients of one system, on one HTTP session."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from stack.backends.gateway import Gateway
from stack.backends.jaeger import Jaeger
from stack.backends.loki import Loki
from stack.backends.prometheus import Prometheus
from stack.system import System

_TOKEN_SECONDS = 900.0


class Backends(msgspec.Struct, frozen=True):
    """What the commands ask; `gateway` makes the client for one subject."""

    system: System
    session: aiohttp.ClientSession
    jaeger: Jaeger
    loki: Loki
    prometheus: Prometheus

    def gateway(self, subject: str, scopes: Sequence[str]) -> Gateway:
        """Return a client with a token of its own; NoCredentialsError before the first `up`."""
        token = self.system.credentials.signer().mint(subject, scopes, _TOKEN_SECONDS)
        return Gateway(self.system.ports.url("gateway"), self.session, token=token.token)


@asynccontextmanager
async def connect(system: System, *, connections: int = 16) -> AsyncIterator[Backends]:
    """Give the clients of a system, with so many connections at most; nothing is called yet."""
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        url = system.ports.url
        yield Backends(
            system,
            session,
            Jaeger("jaeger", url("jaeger"), session),
            Loki("loki", url("loki"), session),
            Prometheus("prometheus", url("prometheus"), session),
        )
