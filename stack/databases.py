"""The services' databases, as an operator looks into them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias, TypeVar

import asyncpg

from stack import services
from stack.credentials import READERS
from stack.system import System

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_SECONDS: Final = 5.0
_URL: Final = ".database-url"
_FAILURES: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class DatabaseError(Exception):
    """A database does not answer, or not as it should; the text names it."""


def names(system: System) -> list[str]:
    """Return the services that have a database, those of `weft run` too."""
    given = {path.name.removesuffix(_URL) for path in system.home.secrets.glob(f"*{_URL}")}
    ours = {service.name: service.database for service in services.SERVICES}
    return sorted(name for name in given - READERS.keys() if ours.get(name, True))


@asynccontextmanager
async def connect(
    system: System, service: str, *, read_only: bool = True
) -> AsyncIterator[Connection]:
    """Give a connection with the service's own role. Raises DatabaseError, NoCredentialsError."""
    url = system.credentials.database_url(service, service)
    settings = {"application_name": "weft-cli"}
    if read_only:
        settings["default_transaction_read_only"] = "on"
    try:
        connection = await asyncpg.connect(
            url, timeout=_SECONDS, command_timeout=_SECONDS, server_settings=settings
        )
        try:
            yield connection
        finally:
            await asyncio.shield(connection.close(timeout=_SECONDS))
    except _FAILURES as error:
        why = str(error) or "no answer in time"
        raise DatabaseError(f"the database of {service}: {why}") from error


async def everywhere(
    system: System, services: Iterable[str], read: Callable[[Connection], Awaitable[T]]
) -> tuple[dict[str, T], list[DatabaseError]]:
    """Return what `read` gives for each service that has ever started, and what went wrong.

    Raises NoCredentialsError.
    """
    found: dict[str, T] = {}
    failed: list[DatabaseError] = []
    for service in services:
        try:
            async with connect(system, service) as connection:
                if await connection.fetchval("SELECT to_regclass('weft.events')") is not None:
                    found[service] = await read(connection)
        except DatabaseError as error:
            failed.append(error)
    return found, failed


def split(system: System, wanted: str) -> tuple[list[str], str]:
    """Return the services where `wanted` may be, and its name there: SERVICE/NAME says it."""
    known = names(system)
    service, slash, rest = wanted.partition("/")
    return ([service], rest) if slash and service in known else (known, wanted)
