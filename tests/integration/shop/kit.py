"""What the tests of the shop's services share: processes, a post box, waiting with a deadline."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec

from tests.ports import free_port
from weft.http import TokenSigner, new_private_key
from weft.messaging import (
    Broker,
    Command,
    Consumer,
    Incoming,
    Outgoing,
    Publisher,
    ServiceTopology,
    outgoing,
)
from weft.telemetry import attach, detach

ROOT = Path(__file__).resolve().parents[3]
DEADLINE = 60.0
START_SECONDS = 120.0
"""A process may start on a machine that has much else to do."""
CARD_KEY = "a-shared-key"
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

T = TypeVar("T")


async def until(probe: Callable[[], Awaitable[T | None]], seconds: float = DEADLINE) -> T:
    """Return what `probe` gives once that is neither None nor False."""
    async with asyncio.timeout(seconds):
        while True:
            found = await probe()
            if found is not None and found is not False:
                return found
            await asyncio.sleep(0.02)


class Keys:
    """The keys of local tokens."""

    def __init__(self, folder: Path) -> None:
        self._signer = TokenSigner(new_private_key())
        self.path = folder / "jwks.json"
        self.path.write_bytes(msgspec.json.encode(self._signer.jwks()))

    def header(self, *scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._signer.mint('alice', scopes, 600).token}"}


class Running:
    """A service as a process of its own."""

    def __init__(self, name: str, environment: dict[str, str], log: Path) -> None:
        self.name = name
        self._environment = environment
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def settings(self) -> dict[str, str]:
        """What it was started with, but for its port."""
        return {
            name: value
            for name, value in self._environment.items()
            if name.startswith("WEFT_") and name != "WEFT_PORT"
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._environment['WEFT_PORT']}"

    @property
    def pid(self) -> int | None:
        """Of the process, None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def output(self) -> str:
        return self._log.read_text()

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"services.{self.name}",
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        async with aiohttp.ClientSession() as session:

            async def probe() -> bool:
                assert self._process is not None
                assert self._process.returncode is None, self.output
                try:
                    async with session.get(f"{self.url}/readyz") as response:
                        return response.status == 200
                except aiohttp.ClientError:
                    return False

            await until(probe, START_SECONDS)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        if self._process is None:
            return None
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(DEADLINE):
            code = await self._process.wait()
        self._process = None
        return code


def environment(**settings: str) -> dict[str, str]:
    """What a service of these tests is started with."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "OTEL_SDK_DISABLED": "true",
        "WEFT_PORT": str(free_port()),
        "WEFT_CONSOLE": "json",
        **settings,
    }


class PostBox:
    """Sends commands as orders does, and keeps the events that services send."""

    def __init__(self, broker_url: str) -> None:
        self.events: list[Incoming] = []
        topology = ServiceTopology(service="probe", events=["stock.*", "payment.*", "product.*"])
        self._broker = Broker(broker_url, topology)
        self._publisher = Publisher(self._broker)
        self._consumer = Consumer(self._broker, "probe.events", self._keep)

    async def open(self) -> None:
        await self._broker.start()
        await self._consumer.start()

    async def close(self) -> None:
        await self._consumer.stop()
        await self._broker.stop()

    async def send(
        self, command: Command, order_id: str, carrier: dict[str, str] | None = None
    ) -> Outgoing:
        token = attach(carrier or {})
        try:
            message = outgoing(command, correlation_id=order_id)
        finally:
            detach(token)
        await self._publisher.publish(message)
        return message

    async def send_again(self, message: Outgoing) -> None:
        await self._publisher.publish(message)

    def told(self, order_id: str) -> list[str]:
        """The types of the events about an order, in the order of their coming."""
        return [event.type for event in self.events if event.correlation_id == order_id]

    async def has_more(self, order_id: str, known: int) -> bool:
        return len(self.told(order_id)) > known

    async def expect(self, order_id: str, *types: str, seconds: float = DEADLINE) -> Incoming:
        """Wait for an event of one of these types about the order."""

        async def probe() -> Incoming | None:
            return next(
                (e for e in self.events if e.correlation_id == order_id and e.type in types), None
            )

        return await until(probe, seconds)

    async def _keep(self, message: Incoming) -> Any:
        self.events.append(message)
        return "processed"
