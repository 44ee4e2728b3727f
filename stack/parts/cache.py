"""Where built parts and Go's own caches are kept: `$XDG_CACHE_HOME/weft`, else `~/.cache/weft`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stack.parts.part import Part


def root() -> Path:
    """Weft's cache folder; by the XDG specification a relative XDG_CACHE_HOME does not count."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "weft"


def parts() -> Path:
    return root() / "parts"


def part_folder(part: Part) -> Path:
    """The folder with the built programs of this version of the part, and of this build of it."""
    build = f"-{part.revision}" if part.revision > 1 else ""
    return parts() / f"{part.name}-{part.version}{build}"


def go_modules() -> Path:
    """Go's module cache; GOMODCACHE moves it."""
    return Path(os.environ.get("GOMODCACHE") or root() / "go-mod")


def go_build() -> Path:
    """Go's build cache, one for all parts, which have much in common; GOCACHE moves it."""
    return Path(os.environ.get("GOCACHE") or root() / "go-build")
