"""Looks for a part's programs: WEFT_PARTS_DIR, the PATH, Debian's folders, Weft's own cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from stack.parts import cache, manifest, version
from stack.parts.catalogue import PARTS
from stack.parts.part import Found, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stack.parts.part import Part, Source

_SYSTEM = frozenset({Path("/usr/bin"), Path("/usr/sbin")})


def find(name: str) -> Found | None:
    """The first of `find_all`: None if no right version of the part is on this machine."""
    return next(find_all(name), None)


def find_all(name: str) -> Iterator[Found]:
    """Every right version of the part on this machine, best first, one for each folder."""
    part = PARTS[name]
    seen: set[Path] = set()
    for source, folder in _folders(part):
        found = _in_folder(part, source, folder)
        if found is None:
            continue
        home = next(iter(found.binaries.values()))
        if home not in seen:
            seen.add(home)
            yield found


def missing() -> list[str]:
    """The names of the parts that would have to be installed, in the order to do it in."""
    wanted = (part for part in PARTS.values() if part.kind != "own" and not part.on_demand)
    return [part.name for part in wanted if find(part.name) is None]


def _folders(part: Part) -> Iterator[tuple[Source, Path]]:
    if own := os.environ.get("WEFT_PARTS_DIR"):
        yield "parts-dir", Path(own)
        for pattern in ("*", "*/bin", "*/sbin"):
            yield from (("parts-dir", folder) for folder in sorted(Path(own).glob(pattern)))
    for entry in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if entry and not (part.kind == "apt" and Path(entry).resolve() in _SYSTEM):
            yield "path", Path(entry)
    for folder in _newest_first(part.folders):
        yield "debian", folder
    if part.kind == "go" and manifest.is_current(part):
        yield "cache", cache.part_folder(part)


def _newest_first(patterns: tuple[str, ...]) -> list[Path]:
    folders = [folder for pattern in patterns for folder in Path("/").glob(pattern.lstrip("/"))]
    return sorted(folders, key=_number_in_path, reverse=True)


def _number_in_path(folder: Path) -> tuple[int, ...]:
    return next((numbers(name) for name in folder.parts if name.isdigit()), ())


def _in_folder(part: Part, source: Source, folder: Path) -> Found | None:
    first, *others = part.binaries
    main = _program(folder, first.files)
    if main is None:
        return None
    programs = {first.name: main}
    for binary in others:
        program = _program(main.parent, binary.files) or _on_path(binary.name)
        if program is None:
            return None
        programs[binary.name] = program
    number = part.version if source == "cache" else version.of(part.name, main)
    if number is None or not part.accepts(number) or not _complete(part, source, main):
        return None
    return Found(name=part.name, version=number, binaries=programs, source=source)


def _program(folder: Path, files: tuple[str, ...]) -> Path | None:
    """The program itself, not a link to it: the other programs of the part are beside it.

    A link to a program of another name stays: that one reads from its own name what to be.
    """
    for file in files:
        program = (folder / file).absolute()
        if program.is_file() and os.access(program, os.X_OK):
            target = program.resolve()
            return target if target.name in files else program
    return None


def _on_path(name: str) -> Path | None:
    program = shutil.which(name)
    return Path(program) if program else None


def _complete(part: Part, source: Source, main: Path) -> bool:
    """Official collectors come in several sets of components; only a whole one will do."""
    if part.name != "otel-collector" or source == "cache":
        return True
    return manifest.collector_components() <= version.collector_modules(main)
