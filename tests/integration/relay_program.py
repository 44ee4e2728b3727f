"""A process with a relay, for tests that kill, stop and continue it. It says a line for each step.

    python relay_program.py DATABASE_URL BROKER_URL MODE

MODE is "plain"; "hold": a batch waits for SIGTERM before it is published; "stop": the process
stops itself (SIGSTOP) when a batch is confirmed and not yet deleted. SIGTERM drains it.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from weft.errors import WeftError
from weft.messaging import Broker, Outgoing, Publisher, QueueSpec, ServiceTopology
from weft.postgres import Database, Relay
from weft.postgres.dispatch import Dispatched
from weft.postgres.outbox_rows import OutboxRows

TOPOLOGY = ServiceTopology(
    service="pieces",
    commands=(),
    events=["piece.*"],
    further=[QueueSpec(name="pieces.tiny", bindings=(("weft.commands", "Tiny"),))],
)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Rows(OutboxRows):
    """The outbox of a relay that has just become active."""

    def __init__(self, db: Database, lease: str, epoch: int) -> None:
        super().__init__(db, lease, epoch)
        say("active", epoch)

    async def settle(self, dispatched: Dispatched, held: Sequence[int]) -> bool:
        """Say whether the rows were still ours to delete."""
        ours = await super().settle(dispatched, held)
        say("settled", ours)
        return ours


class Publishing:
    def __init__(self, publisher: Publisher, mode: str, terminated: asyncio.Event) -> None:
        self._publisher = publisher
        self._mode = mode
        self._terminated = terminated

    async def publish_batch(self, messages: Sequence[Outgoing]) -> Sequence[WeftError | None]:
        say("batch", len(messages))
        if self._mode == "hold":
            await self._terminated.wait()
        outcomes = await self._publisher.publish_batch(messages)
        say("published", outcomes.count(None))
        if self._mode == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        return outcomes


async def main(database_url: str, broker_url: str, mode: str) -> None:
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    db, broker = Database(database_url), Broker(broker_url, TOPOLOGY)
    await asyncio.gather(db.start(), broker.start())
    relay = Relay(db, Publishing(Publisher(broker), mode, terminated))
    await relay.start()
    await terminated.wait()
    await relay.stop()
    await asyncio.gather(db.stop(), broker.stop())


if __name__ == "__main__":
    import weft.postgres.relay

    weft.postgres.relay.OutboxRows = Rows  # type: ignore[misc]
    asyncio.run(main(*sys.argv[1:]))
