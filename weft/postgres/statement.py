"""One statement on one connection: recorded, with errors that callers can act on."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from weft.postgres.address import Address
from weft.postgres.errors import translate
from weft.telemetry import record

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
R = TypeVar("R")


def is_closed(connection: Connection) -> bool:
    """Tell whether the server, or a failure, has ended the connection."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool has taken it back because it was closed
        return True


def end(connection: Connection) -> None:
    """Close the connection at once; the pool makes a new one."""
    with contextlib.suppress(asyncpg.InterfaceError):
        connection.terminate()


async def run(
    method: Callable[..., Awaitable[R]],
    connection: Connection,
    address: Address,
    sql: str,
    args: tuple[Any, ...],
    *,
    told: str | None = None,
) -> R:
    """Await `method(sql, *args)`, a method of `connection`. Raises what `translate` returns.

    `told` is what telemetry is given where values stand in `sql` itself.
    """
    call = record.sql(told or sql, namespace=address.database, host=address.host, port=address.port)
    try:
        result = await method(sql, *args)
    except BaseException as error:
        call.end(error)
        raised = translate(error, address.name, closed=is_closed(connection))
        if raised is error:
            raise
        raise raised from error
    call.end()
    return result
