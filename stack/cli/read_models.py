"""`weft projections`: the services' read models, and building one anew."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, Final

from rich.table import Table

from stack import databases
from stack.cli.output import FAILED, Printer, warn
from stack.system import System
from weft.postgres import generations
from weft.postgres.generations import Generation

_POLL: Final = 0.25


async def projections(system: System, *, as_json: bool) -> int:
    """Print every generation of every read model. Raises DatabaseError, NoCredentialsError."""
    listed, failed = await databases.everywhere(system, databases.names(system), generations.listed)
    for error in failed:
        warn(str(error))
    found = [(service, one) for service, several in listed.items() for one in several]
    printer = Printer()
    if as_json:
        printer.json([_as_json(service, one) for service, one in found])
        return 0
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("service", "name", "generation", "state", "lag", "read at"):
        grid.add_column(heading, justify="right" if heading in ("generation", "lag") else "left")
    for service, one in found:
        moved = _moved(one).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        grid.add_row(service, one.name, str(one.generation), one.state, _lag(one), moved)
    printer.console.print(grid)
    return 0


async def rebuild(system: System, wanted: str, *, seconds: float | None) -> int:
    """Have a read model built anew; with `seconds`, wait until it is live, else exit code 1.

    Raises DatabaseError, NoCredentialsError.
    """
    services, name = databases.split(system, wanted)
    listed, failed = await databases.everywhere(system, services, generations.listed)
    having = [service for service, all_ in listed.items() if any(one.name == name for one in all_)]
    if failed and not having:
        raise failed[0]
    if len(having) != 1:
        several = " or ".join(f"{service}/{name}" for service in having)
        warn(f"several have it: say {several}" if having else f"there is no projection {name}")
        return FAILED
    (service,) = having
    async with databases.connect(system, service, read_only=False) as connection:
        generation = await generations.rebuild(connection, name)
    if generation is None:
        warn(f"{service}/{name} is being rebuilt already")
        return FAILED
    Printer().line(f"{service}/{name}: generation {generation} is being built")
    if seconds is None:
        return 0
    return await _wait(system, service, name, generation, seconds)


async def _wait(system: System, service: str, name: str, generation: int, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        async with databases.connect(system, service) as connection:
            known = await generations.listed(connection)
        states = {one.generation: one for one in known if one.name == name}
        one = states.get(generation)
        if one is None or one.state != "rebuilding":
            Printer().line(f"{service}/{name}: generation {generation} is live")
            return 0
        await asyncio.sleep(_POLL)
    warn(f"{service}/{name}: not rebuilt after {seconds:g} s, and it goes on")
    return FAILED


def _as_json(service: str, one: Generation) -> dict[str, Any]:
    return {
        "service": service,
        "name": one.name,
        "generation": one.generation,
        "state": one.state,
        "lag": one.lag,
        "read_at": _moved(one).isoformat(timespec="milliseconds"),
    }


def _lag(one: Generation) -> str:
    return f"{one.lag}+" if one.lag >= generations.COUNTED else str(one.lag)


def _moved(one: Generation) -> datetime:
    return datetime.fromtimestamp(one.moved_at, UTC)
