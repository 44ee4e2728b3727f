"""Which version a program is, asked of the program itself."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_DEADLINE_S = 10.0
_NUMBER = re.compile(r"(?<![\d.])v?(\d+(?:\.\d+)+)")


def of(name: str, program: Path) -> str | None:
    """The version of a part's main program; None if it does not say one in time."""
    return _of_rabbitmq(program) if name == "rabbitmq" else _asked(program, "--version")


def collector_modules(program: Path) -> frozenset[str]:
    """The Go modules (`path vVERSION`) of the components that a collector binary is made of."""
    return frozenset(re.findall(r"module: (\S+ v\S+)", _output(program, "components")))


def _asked(program: Path, argument: str) -> str | None:
    number = _NUMBER.search(_output(program, argument))
    return number.group(1) if number else None


def _output(program: Path, argument: str) -> str:
    try:
        asked = subprocess.run(  # noqa: S603  a program that the user put on the PATH
            [program, argument],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.decode(errors="replace") if asked.returncode == 0 else ""


def _of_rabbitmq(program: Path) -> str | None:
    """From the names of its folders: rabbitmq-server has no --version, and rabbitmqctl takes 1 s.

    Debian has `lib/rabbitmq_server-3.10.8` beside `bin`, a release `plugins/rabbit-4.1.0`
    beside `sbin`.
    """
    home = program.parent.parent
    for folder in (*home.glob("lib/rabbitmq_server-*"), *home.glob("plugins/rabbit-[0-9]*")):
        if number := _NUMBER.search(folder.name.removesuffix(".ez")):
            return number.group(1)
    return None
