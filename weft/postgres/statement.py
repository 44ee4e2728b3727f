"""One statement on one connection: recorded, with errors that callers can act on."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from weft.postgres.address import Address
from weft.postgres.errors import translate
from weft.telemetry import record

Connection = PoolConnectionProxy[asyncpg.Record]
R = TypeVar("R")


async def run(
    method: Callable[..., Awaitable[R]],
    connection: Connection,
    address: Address,
    sql: str,
    args: tuple[Any, ...],
) -> R:
    """Await `method(sql, *args)`, a method of `connection`. Raises what `translate` returns."""
    call = record.sql(sql, namespace=address.database, host=address.host, port=address.port)
    try:
        result = await method(sql, *args)
    except BaseException as error:
        call.end(error)
        raised = translate(error, address.name, closed=connection.is_closed())
        if raised is error:
            raise
        raise raised from error
    call.end()
    return result
