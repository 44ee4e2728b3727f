"""A backing part of the system: what it is called, which versions will do, where it was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Kind = Literal["apt", "go", "own"]
Source = Literal["parts-dir", "path", "cache", "debian"]


@dataclass(frozen=True, kw_only=True)
class Binary:
    """A program of a part: the key in `Found.binaries`, and the file names that it may have."""

    name: str
    files: tuple[str, ...]
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Part:
    """One backing part.

    `version` is the one that is built (kind "go"), or the oldest that will do (kinds "apt" and
    "own", with `below` the first that will not). Kind "own" is never installed: the user brings it.
    """

    name: str
    kind: Kind
    version: str
    binaries: tuple[Binary, ...]
    below: str | None = None
    packages: tuple[str, ...] = ()
    cpu_seconds: float = 0.0
    disk_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Found:
    """A part on this machine: its version, its programs by name, and where they come from."""

    name: str
    version: str
    binaries: Mapping[str, Path]
    source: Source
