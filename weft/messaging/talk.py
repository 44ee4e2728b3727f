"""Talking with the client library: which of its errors mean that the connection is gone."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from aiormq.exceptions import AMQPError

T = TypeVar("T")

DEADLINE = 5.0
"""Seconds for each word with the broker."""

LOST = (AMQPError, OSError, TimeoutError, RuntimeError)
"""What an operation raises that a connection or channel did not live to see the end of."""


async def talk(word: Awaitable[T]) -> T:
    """Await an operation of the library, for DEADLINE at most; raises one of LOST.

    A connection that closes throws its reason into every operation on it: that may be a bare
    Exception, or a CancelledError that nobody has asked for.
    """
    try:
        async with asyncio.timeout(DEADLINE):
            return await word
    except LOST:
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError("connection closed") from error
    except Exception as error:
        raise ConnectionError("connection closed") from error


def why(error: BaseException) -> str:
    """Return an error as one bounded line without secrets (the library's errors hold no URL)."""
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
