"""A backing part of the system: what it is called, which versions will do, where it was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Kind = Literal["apt", "go", "own"]
Source = Literal["parts-dir", "path", "debian", "cache"]


@dataclass(frozen=True)
class Binary:
    """A program of a part: its key in `Found.binaries`, and other file names that it may have."""

    name: str
    also: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return (self.name, *self.also)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One backing part; the first of its `binaries` is the one that tells the version.

    Kind "go" is built here and has exactly one right `version`. Kind "apt" comes from the first
    of `packages` that the machine's distribution has; "own" is never installed, the user brings
    it. For both, `version` is the oldest that will do and `below` the first that will not.
    `revision` counts the builds of one version: one with other components than the last has a
    folder of its own in the cache, beside that of older checkouts and of images without it.
    One `on_demand` is no part of a running system: never `missing`, installed where asked for.
    """

    name: str
    kind: Kind
    version: str
    binaries: tuple[Binary, ...]
    below: str | None = None
    packages: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    revision: int = 1
    on_demand: bool = False

    def accepts(self, version: str) -> bool:
        if self.kind == "go":
            return version == self.version
        found = numbers(version)
        return found >= numbers(self.version) and (
            self.below is None or found < numbers(self.below)
        )


@dataclass(frozen=True, kw_only=True)
class Found:
    """A part on this machine: its version, its programs by name, and where they come from."""

    name: str
    version: str
    binaries: Mapping[str, Path]
    source: Source


def numbers(version: str) -> tuple[int, ...]:
    """`"3.10.8"` as `(3, 10, 8)`, so that versions compare as people mean them."""
    return tuple(int(number) for number in version.split("."))
