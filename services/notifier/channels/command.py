"""A program of the operator's, with the alert on its standard input."""

import asyncio
import contextlib
import os
from typing import Annotated

import msgspec
from msgspec import Meta

from services.notifier.channels.base import SECONDS, ChannelSettings, Undelivered
from services.notifier.domain import Notice


class CommandSettings(ChannelSettings, frozen=True, kw_only=True, tag="command"):
    """`argv` is run as it stands, by no shell, with no more environment than PATH."""

    argv: Annotated[tuple[str, ...], Meta(min_length=1)]
    timeout: Annotated[float, Meta(gt=0, le=60)] = SECONDS


class Command:
    """Channel. A program that ends with another code than 0 did not take the message."""

    def __init__(self, settings: CommandSettings) -> None:
        self.name = settings.name
        self.wants = settings.wants
        self._settings = settings

    async def send(self, notice: Notice) -> None:
        """Run the program; raise Undelivered. It is killed when it takes too long."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._settings.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PATH": os.defpath},
                start_new_session=True,
            )
        except OSError as error:
            raise Undelivered(f"the program cannot be run ({type(error).__name__})") from None
        try:
            async with asyncio.timeout(self._settings.timeout):
                await process.communicate(msgspec.json.encode(notice))
        except TimeoutError:
            raise Undelivered(f"no end within {self._settings.timeout:g} s") from None
        finally:
            await _ended(process)
        if process.returncode:
            raise Undelivered(f"the program ended with {process.returncode}")

    async def close(self) -> None:
        """There is nothing to close."""


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of it, its children too."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.wait()
