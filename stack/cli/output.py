"""How the telemetry commands print, and what a failure becomes: one line and an exit code."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from stack.backends.connect import Backends, connect
from stack.backends.http import BackendError
from stack.credentials import NoCredentialsError
from stack.system import System
from weft.settings import SettingsError

_PLAIN_WIDTH = 100

FAILED = 1
USAGE = 2


class Printer:
    """Standard output. On a terminal long lines are cut at its width, elsewhere never."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.cut = self.console.is_terminal

    @property
    def width(self) -> int:
        return self.console.width if self.cut else _PLAIN_WIDTH

    def line(self, text: Text | str, *, cut: bool = True) -> None:
        """Print one line; with `cut=False` a terminal wraps it."""
        if self.cut and cut:
            self.console.print(text, no_wrap=True, overflow="ellipsis", markup=False)
        else:
            self.console.print(text, soft_wrap=True, markup=False)

    def json(self, value: Any) -> None:
        """Print a value as one line of JSON."""
        typer.echo(json.dumps(value, ensure_ascii=False))


def warn(text: str) -> None:
    """Print one line on standard error."""
    typer.secho(text, err=True, fg="yellow")


def run(work: Callable[[Backends], Awaitable[int]]) -> None:
    """Run a command against the system of the environment, and exit with what it returns."""
    raise typer.Exit(asyncio.run(_run(work)))


async def _run(work: Callable[[Backends], Awaitable[int]]) -> int:
    try:
        async with connect(System.load()) as backends:
            return await work(backends)
    except SettingsError as error:
        typer.secho(str(error), err=True, fg="red")
        return USAGE
    except (BackendError, NoCredentialsError) as error:
        typer.secho(str(error), err=True, fg="red")
        return FAILED
