"""`weft tour`: a walk through the running system, chapter by chapter."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from rich.text import Text

from stack.backends.connect import Backends
from stack.cli.output import Printer

_WIDTH: Final = 88
"""Columns of the explanations, where there are more."""


class Visit(msgspec.Struct):
    """One visitor's tour: what the chapters ask and print with, and what earlier ones found."""

    backends: Backends
    printer: Printer
    weft: str = "weft"
    """How the visitor calls this program."""
    order_id: str = ""
    trace_id: str = ""
    counted_before: float | None = None
    """Orders in Prometheus before the tour's own; None if it was away."""


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the tour: `text` explains, `show` prints the thing itself, or raises BackendError.

    `again` is the command that shows it another time; both may name `{weft}`, `{order_id}`,
    `{trace_id}`, and addresses such as `{gateway}` and `{prometheus}`.
    """

    title: str
    text: str
    show: Callable[[Visit], Awaitable[None]] | None = None
    again: str


async def walk(visit: Visit, chapters: Sequence[Chapter], *, pause: bool) -> int:
    """Go through the chapters and return the exit code; with `pause` wait for Enter between."""
    for number, chapter in enumerate(chapters, 1):
        if pause and number > 1:
            await _enter(visit.printer)
        _begin(visit, f"{number}/{len(chapters)}", chapter)
        if chapter.show is not None:
            await chapter.show(visit)
            visit.printer.line("")
        for command in _filled(chapter.again, visit).splitlines():
            visit.printer.line(Text.assemble(("again: ", "dim"), (command, "cyan")), cut=False)
    return 0


def _begin(visit: Visit, number: str, chapter: Chapter) -> None:
    printer = visit.printer
    printer.line("")
    printer.line(Text.assemble((f"{number}  ", "dim"), (chapter.title, "bold")))
    width = min(_WIDTH, printer.width)
    printer.console.print(_filled(chapter.text, visit), width=width, markup=False)
    printer.line("")


def _filled(text: str, visit: Visit) -> str:
    url = visit.backends.system.ports.url
    addresses = {name: url(name) for name in ("gateway", "jaeger", "prometheus", "loki")}
    found = {"order_id": visit.order_id, "trace_id": visit.trace_id, "weft": visit.weft}
    return text.format(**addresses, **found)


async def _enter(printer: Printer) -> None:
    """Wait for a line on standard input; Ctrl-C still ends the tour."""
    printer.line(Text("\nEnter goes on, Ctrl-C ends the tour.", "dim"))
    pressed = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, pressed.set)
    try:
        await pressed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    sys.stdin.readline()
