"""Builds a Go part from its manifest into the cache, whole or not at all."""

from __future__ import annotations

import random
import shutil
import time
from typing import TYPE_CHECKING

from stack.parts import cache, host, planning, toolchain
from stack.parts.manifest import MANIFESTS, STAMP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stack.parts.job import Job
    from stack.parts.manifest import Manifest
    from stack.parts.part import Part

_DOWNLOAD_DEADLINE_S = 3600.0
_BUILD_DEADLINE_S = 3 * 3600.0
_DOWNLOAD_ATTEMPTS = 3
_BACK_OFF_S = 2.0
_GENERATOR = "go.opentelemetry.io/collector/cmd/builder"
_STALE = "stale: "
_TEMPLATE = f'{{{{if and .Stale (ne .Name "main")}}}}{_STALE}{{{{.ImportPath}}}}{{{{end}}}}'


def build(job: Job, part: Part) -> None:
    """Builds the programs of the part into its folder of the cache.

    What an interrupted run had downloaded and compiled is in Go's caches, and not done again.
    """
    manifest = MANIFESTS[part.name]
    _check_disk(job, manifest)
    go = toolchain.go(job)
    scratch = cache.parts() / f".{part.name}-{part.version}"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        (scratch / "bin").mkdir(parents=True)
        _Build(job, manifest, go, scratch).run()
        _install(scratch / "bin", cache.part_folder(part), scratch / "old")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check_disk(job: Job, manifest: Manifest) -> None:
    needed, free = planning.needed_bytes(manifest), planning.free_bytes()
    if free < needed:
        raise job.failed(
            f"needs {needed / 1e9:.1f} GB to build, and {cache.root()} has {free / 1e9:.1f} GB "
            "free (XDG_CACHE_HOME moves it)"
        )


def _install(built: Path, target: Path, old: Path) -> None:
    """Renames, so that nobody ever sees half of it; a program that runs keeps its file."""
    if target.exists():
        target.rename(old)
    built.rename(target)


class _Build:
    """The go commands of one part."""

    def __init__(self, job: Job, manifest: Manifest, go: Path, scratch: Path) -> None:
        self._job = job
        self._manifest = manifest
        self._go = str(go)
        self._scratch = scratch
        self._folder = manifest.folder
        self._env = toolchain.environment()

    def run(self) -> None:
        self._job.tracker.begin(
            "downloading", total=self._manifest.locked_modules(), unit="modules"
        )
        if self._manifest.sources:
            self._generate()
        stale = self._download()
        self._compile(stale)
        (self._scratch / "bin" / STAMP).write_text(self._manifest.digest() + "\n")

    def _generate(self) -> None:
        """The collector's main package comes from its list of components and a generator."""
        self._folder = self._scratch / "source"
        self._folder.mkdir()
        for file in self._manifest.files:
            shutil.copy(file, self._folder)
        generate = ["run", "-mod=readonly", _GENERATOR, "--config", "builder.yaml"]
        self._with_network([*generate, "--skip-compilation", "--skip-get-modules"], self._fetched)

    def _download(self) -> set[str]:
        """Fetches every module that the programs need; gives the packages yet to be compiled."""
        stale: set[str] = set()

        def heard(line: str) -> bool:
            if line.startswith(_STALE):
                stale.add(line.removeprefix(_STALE))
                return False
            return self._fetched(line)

        listing = ["list", "-deps", "-f", _TEMPLATE, *self._manifest.flags()]
        self._with_network([*listing, *self._manifest.packages], heard)
        return stale

    def _fetched(self, line: str) -> bool:
        if line.startswith("go: downloading "):
            self._job.tracker.advance()
        return bool(line)

    def _with_network(self, arguments: list[str], heard: Callable[[str], bool]) -> None:
        """A mirror may hiccup: a few attempts, each of which goes on where the last one ended."""
        for attempt in range(1, _DOWNLOAD_ATTEMPTS + 1):
            code = self._go_command(arguments, _DOWNLOAD_DEADLINE_S, heard)
            if code == 0:
                return
            if attempt < _DOWNLOAD_ATTEMPTS:
                time.sleep(_BACK_OFF_S * 2**attempt * random.uniform(0.5, 1))
        raise self._job.failed(f"`go {arguments[0]}` ended with code {code}")

    def _compile(self, stale: set[str]) -> None:
        tracker = self._job.tracker
        tracker.begin("compiling" if stale else "linking", total=len(stale), unit="packages")

        def heard(line: str) -> bool:
            if line in stale:
                tracker.advance()
                if tracker.complete:
                    tracker.begin("linking")
            return bool(line)

        command = ["build", "-v", *self._manifest.flags(), "-p", str(host.compilers())]
        target = f"{self._scratch / 'bin'}/{self._manifest.output}"
        command += ["-ldflags", self._manifest.linker_flags(), "-o", target]
        code = self._go_command([*command, *self._manifest.packages], _BUILD_DEADLINE_S, heard)
        if code != 0:
            raise self._job.failed(f"`go build` ended with code {code}")

    def _go_command(
        self, arguments: list[str], deadline_s: float, heard: Callable[[str], bool]
    ) -> int:
        """Go at low priority: the services that are up already come first."""
        return self._job.run(
            ["nice", "-n", "10", self._go, *arguments],
            deadline_s=deadline_s,
            heard=heard,
            env=self._env,
            cwd=self._folder,
        )
