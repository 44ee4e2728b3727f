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
    Exception, or a CancelledError that nobody has asked for. Who is cancelled meanwhile stays so,
    but the operation is heard out first: the library may swallow a cancellation (wait_for of
    Python 3.11 does), and a channel that is cut off in the middle of a word is of no more use.
    """
    speaking = asyncio.ensure_future(word)
    try:
        done, _ = await asyncio.wait((speaking,), timeout=DEADLINE)
    except asyncio.CancelledError:
        await _hear_out(speaking)
        raise
    if not done:
        _drop(speaking)
        raise TimeoutError(f"no answer within {DEADLINE:g} s")
    try:
        return speaking.result()
    except LOST:
        raise
    except (asyncio.CancelledError, Exception) as error:
        raise ConnectionError("connection closed") from error


async def _hear_out(speaking: asyncio.Future[T]) -> None:
    try:
        await asyncio.wait((speaking,), timeout=DEADLINE)
    finally:
        _drop(speaking)


def _drop(speaking: asyncio.Future[T]) -> None:
    """End an operation whose outcome nobody waits for."""
    speaking.cancel()
    speaking.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


def why(error: BaseException) -> str:
    """Return an error as one bounded line without secrets (the library's errors hold no URL)."""
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
