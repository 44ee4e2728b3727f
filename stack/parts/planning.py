"""What an installation will take, to be shown before it begins."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stack.parts import cache, host
from stack.parts.catalogue import PARTS
from stack.parts.manifest import MANIFESTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stack.parts.manifest import Manifest

_APT_S = 20.0
_APT_BYTES = 200 * 10**6
_COMPILED_SHARE = 0.5
_BYTES_PER_SECOND = 30 * 10**6


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Bytes on the disk of Weft's cache, and seconds with this machine's cores idle.

    Both are for empty Go caches, and so an upper bound for a run that resumes; the seconds
    suppose that modules arrive at 30 MB a second, unpacked.
    """

    needed_bytes: int
    free_bytes: int
    expected_seconds: Mapping[str, float]

    @property
    def total_seconds(self) -> float:
        return sum(self.expected_seconds.values())

    @property
    def fits(self) -> bool:
        return self.needed_bytes <= self.free_bytes


def plan(names: Iterable[str]) -> Plan:
    """What it takes to install these parts, one after another."""
    wanted = [name for name in names if PARTS[name].kind != "own"]
    return Plan(
        needed_bytes=sum(_needed(name) for name in wanted),
        free_bytes=free_bytes(),
        expected_seconds={name: _expected(name) for name in wanted},
    )


def needed_bytes(manifest: Manifest) -> int:
    """For modules, compiled packages and programs; the modules only if they are not there yet."""
    if (cache.go_modules() / manifest.module).is_dir():
        return int(manifest.disk_bytes * _COMPILED_SHARE)
    return manifest.disk_bytes


def free_bytes() -> int:
    """What this user may still write where Weft's cache is or will be."""
    folder = cache.root()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _needed(name: str) -> int:
    manifest = MANIFESTS.get(name)
    return needed_bytes(manifest) if manifest else _APT_BYTES


def _expected(name: str) -> float:
    manifest = MANIFESTS.get(name)
    if manifest is None:
        return _APT_S
    modules = needed_bytes(manifest) - int(manifest.disk_bytes * _COMPILED_SHARE)
    return manifest.cpu_seconds / host.cores() + modules / _BYTES_PER_SECOND
