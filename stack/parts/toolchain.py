"""Finds a Go that can fetch the very toolchain a go.mod asks for (1.21 and later), or gets one."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from stack.parts import cache, debian

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stack.parts.job import Job

_OLDEST = (1, 21)
_PACKAGES = (r"^golang-1\.(2[1-9]|[3-9][0-9])-go$",)
_DEADLINE_S = 30.0


def go(job: Job) -> Path:
    """The go command: from the PATH, from the usual folders, or installed by apt."""
    if found := find():
        return found
    in_stable = debian.install(job, _PACKAGES, step="getting Go")
    if not in_stable and (backports := _backports()):
        debian.install(job, _PACKAGES, suite=backports, step="getting Go")
    if found := find():
        return found
    raise job.failed("no Go 1.21 or newer here and none from apt: install one and retry")


def find() -> Path | None:
    """The first go command that is new enough."""
    return next((path for path in _candidates() if (_version(path) or (0,)) >= _OLDEST), None)


def environment() -> dict[str, str]:
    """Go's settings: static programs for this machine, and all that it keeps in Weft's cache."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"GOOS", "GOARCH", "GOEXPERIMENT", "GOROOT"}
    }
    return inherited | {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOCACHE": str(cache.go_build()),
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": str(cache.go_modules()),
        "GOPATH": str(cache.root() / "go"),
        "GOTOOLCHAIN": "auto",
        "GOWORK": "off",
    }


def _candidates() -> Iterator[Path]:
    if on_path := shutil.which("go"):
        yield Path(on_path)
    yield Path("/usr/local/go/bin/go")
    yield from sorted(Path("/usr/lib").glob("go-1.*/bin/go"), reverse=True)


def _version(path: Path) -> tuple[int, int] | None:
    """Of the command itself, not of a toolchain that it would switch to."""
    try:
        asked = subprocess.run(  # noqa: S603  the go command that was just found
            [path, "version"],
            env=os.environ | {"GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = re.search(r"\bgo(\d+)\.(\d+)", asked.stdout)
    return (int(number.group(1)), int(number.group(2))) if number else None


def _backports() -> str | None:
    """The suite in which Debian's stable and oldstable have a newer Go."""
    release = platform.freedesktop_os_release()
    codename = release.get("VERSION_CODENAME")
    return f"{codename}-backports" if release.get("ID") == "debian" and codename else None
