"""Gets one part onto this machine, by apt or by a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stack.parts import build, cache, debian, finding, host, lock, toolchain
from stack.parts.catalogue import PARTS
from stack.parts.job import job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from stack.parts.job import Job
    from stack.parts.part import Found, Part
    from stack.parts.progress import Progress

_LOCK_DEADLINE_S = 4 * 3600.0


def install(name: str, *, log: Path, progress: Callable[[Progress], None]) -> Found:
    """Installs the part unless it is there by now; raises PartFailed, or UnsupportedHost.

    Appends what the commands say to `log`. Calls `progress` at least once a second, from this
    thread; what that raises stops a build (not apt, which is waited for) and comes out here.
    """
    part = PARTS[name]
    host.check_host()
    with job(name, log, progress) as work:
        work.tracker.begin("waiting")
        try:
            with lock.exclusive(
                cache.parts() / ".lock", deadline_s=_LOCK_DEADLINE_S, waiting=work.tracker.tick
            ) as work.lock_file:
                return finding.find(name) or _installed(work, part)
        except (OSError, lock.StillLocked) as error:
            raise work.failed(str(error)) from error


def authorize(names: Iterable[str]) -> bool:
    """Has sudo ask for its password now, on the terminal, if apt will need it for these parts.

    False if apt will need root and cannot have it.
    """
    wanted = [PARTS[name] for name in names]
    by_apt = any(part.kind == "apt" for part in wanted)
    go_by_apt = any(part.kind == "go" for part in wanted) and toolchain.find() is None
    return not (by_apt or go_by_apt) or host.ask_for_sudo()


def _installed(work: Job, part: Part) -> Found:
    if part.kind == "own":
        raise work.failed("is never installed by Weft: put it on the PATH or in WEFT_PARTS_DIR")
    if part.kind == "go":
        build.build(work, part)
    elif not debian.install(work, [debian.exactly(package) for package in part.packages]):
        raise work.failed(f"apt knows no package {' or '.join(part.packages)}")
    found = finding.find(part.name)
    if found is None:
        raise work.failed(f"what was installed is not version {_wanted(part)}")
    work.tracker.begin("done")
    return found


def _wanted(part: Part) -> str:
    return f"{part.version} or later, below {part.below}" if part.below else part.version
