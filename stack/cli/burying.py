"""What the commands about dead letters do."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from stack.cli import letters
from stack.cli.show import error
from stack.credentials import OPERATOR, VHOST
from stack.system import System
from weft.messaging.dead_letters import DeadLetters, Done, Wanted, opened
from weft.messaging.letters import Letter
from weft.postgres.inbox_days import DAYS, remembered
from weft.telemetry.console import Console
from weft.telemetry.setup import Telemetry

_FLUSH_SECONDS: Final = 3.0

Work = Callable[[DeadLetters, str], Awaitable[Done]]


def groups(system: System, queues: list[str], *, limit: int, as_json: bool) -> None:
    """Print the groups of all dead letters. Raises Unavailable, as all here do."""
    found = asyncio.run(_read(system, queues, limit, lambda _: True, opening=False))
    letters.show_groups([one.letter for one in found], as_json=as_json)


def show(system: System, queues: list[str], which: str, *, limit: int, as_json: bool) -> bool:
    """Print what `which` names; False if there is nothing."""
    found = asyncio.run(_read(system, queues, limit, _wanted(which), opening=True))
    letters.show_all(found, as_json=as_json)
    return bool(found) or _nothing(which)


def replay(
    system: System, queues: list[str], which: str | None, *, limit: int, force: bool
) -> bool:
    """Send back what `which` names, or all; False if not all of it could be, or there is none."""
    wanted = _wanted(which)

    async def work(dead: DeadLetters, queue: str) -> Done:
        return await dead.replay(queue, wanted, limit=limit, remembered=_remembered, force=force)

    done = _traced(system, lambda: asyncio.run(_each(system, queues, work)))
    letters.show_done("sent back", done)
    for one in done.refused:
        error(f"{one.id} is older than the {DAYS} days that the inbox remembers: --force")
    return _whole(done, which)


def drop(system: System, queues: list[str], which: str | None, *, limit: int) -> bool:
    """Delete what `which` names, or all; False as with `replay`."""
    wanted = _wanted(which)

    async def work(dead: DeadLetters, queue: str) -> Done:
        return await dead.drop(queue, wanted, limit=limit)

    done = _traced(system, lambda: asyncio.run(_each(system, queues, work)))
    letters.show_done("deleted", done)
    return _whole(done, which)


def _whole(done: Done, which: str | None) -> bool:
    if done.stopped is not None:
        error(f"stopped, the others are where they were: {done.stopped}")
    if done.stopped is not None or done.refused:
        return False
    return bool(done.letters) or which is None or _nothing(which)


def _nothing(which: str) -> bool:
    error(f"there is no dead letter {which}")
    return False


def _wanted(which: str | None) -> Wanted:
    return lambda found: which is None or which in (found.id, found.group)


def _remembered(found: Letter) -> bool:
    try:
        return remembered(UUID(found.id), time.time())
    except ValueError:
        return False


async def _read(
    system: System, queues: list[str], limit: int, wanted: Wanted, *, opening: bool
) -> list[letters.Shown]:
    found = []
    async with opened(_url(system)) as dead:
        for queue in queues:
            async for one, message in dead.read(queue, limit):
                if wanted(one):
                    found.append(letters.shown(one, message, opening=opening))
    return found


async def _each(system: System, queues: list[str], work: Work) -> Done:
    """Do it for each queue; what stops one queue's does not stop the next's."""
    total = Done()
    async with opened(_url(system)) as dead:
        for queue in queues:
            done = await work(dead, queue)
            total.letters += done.letters
            total.refused += done.refused
            total.stopped = total.stopped or done.stopped
    return total


def _url(system: System) -> str:
    return system.credentials.broker_url(OPERATOR, VHOST)


def _traced(system: System, work: Callable[[], Done]) -> Done:
    """Do what leaves spans and log records. A collector that is away costs 3 s."""
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = system.ports.url("otel-collector-http")
    console = Console("off")
    telemetry = Telemetry(
        "operator", version="1", instance=0, environment="local", console=console, level="info"
    )
    try:
        return work()
    finally:
        if not telemetry.shutdown(_FLUSH_SECONDS):
            error("the collector is away: the traces do not show this")
