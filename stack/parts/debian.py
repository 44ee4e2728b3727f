"""Installs Debian's packages, by way of apt-install.sh, which keeps servers from starting."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from stack.parts import host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stack.parts.job import Job
    from stack.parts.progress import Step

_SCRIPT = Path(__file__).with_name("apt-install.sh")
_DEADLINE_S = 1800.0
_NO_SUCH_PACKAGE = 3
_STATUS = re.compile(r"(dl|pm)status:.*?:([\d.]+):")


def install(
    job: Job, patterns: Sequence[str], *, suite: str | None = None, step: Step = "installing"
) -> bool:
    """Installs the first package that matches; False if the distribution has none of them."""
    if not host.is_root() and not host.may_sudo():
        raise job.failed(f"apt needs root: run `sudo apt-get install {_names(patterns)}` first")
    job.tracker.begin(step, total=100)
    options = ["--suite", suite] if suite else []
    command = ["sh", str(_SCRIPT), "weft-apt-install", *options, *patterns]
    code = job.run(
        host.as_root(command),
        deadline_s=_DEADLINE_S,
        heard=_status_to(job.tracker.advance),
        unstoppable=True,
    )
    if code not in (0, _NO_SUCH_PACKAGE):
        raise job.failed(f"apt-get ended with code {code}")
    return code == 0


def exactly(package: str) -> str:
    return f"^{re.escape(package)}$"


def _names(patterns: Sequence[str]) -> str:
    return patterns[0].strip("^$").replace("\\", "")


def _status_to(advance: Callable[[int], None]) -> Callable[[str], bool]:
    """apt's machine-readable lines drive the progress; downloads are its first half."""

    def heard(line: str) -> bool:
        status = _STATUS.match(line)
        if status:
            half = float(status.group(2)) / 2
            advance(int(half if status.group(1) == "dl" else 50 + half))
        return bool(line) and not status

    return heard
