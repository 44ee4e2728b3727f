"""The component that watches the file of flags and makes this process do what it says."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from openfeature import api

from weft.flags import burdens, faults
from weft.flags.document import (
    MAX_BYTES,
    Document,
    Fault,
    Feature,
    Flag,
    FlagsError,
    in_force,
    read,
    utc_now,
)
from weft.flags.provider import FileProvider
from weft.telemetry import gauge, get_logger

PERIOD: Final = 0.5
"""Seconds between two looks at the file: a look is one system call."""

log = get_logger(__name__)


class Flags:
    """Component. Follows the flags of `service` in `path`; without the file none is set.

    A file that is wrong leaves what was, and is told once. With `allow_faults` false no fault is
    ever on. A fault ends by itself at its time.
    """

    name = "flags"

    def __init__(
        self,
        service: str,
        path: Path,
        *,
        allow_faults: bool,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._service = service
        self._path = path
        self._allow_faults = allow_faults
        self._now = now
        self._provider = FileProvider()
        self._document = Document()
        self._seen: tuple[int, ...] | None = None
        self._told: dict[str, Flag] = {}
        self._values: dict[tuple[tuple[str, str], ...], float] = {}
        self._working: dict[str, list[asyncio.Task[None]]] = {}
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the file and begin to watch it."""
        gauge("weft.fault.active", "{fault}", "1 while a fault is on.", lambda: self._values)
        faults.effect(faults.CPU_BURN, burdens.burn)
        faults.effect(faults.MEMORY_LEAK, burdens.leak)
        api.set_provider_and_wait(self._provider)
        self.look()
        self._watching = asyncio.create_task(self._watch(), name=self.name)

    async def check(self) -> None:
        """Raise if nobody watches the file."""
        if self._watching is None or self._watching.done():
            raise RuntimeError("the flags are not watched")

    async def stop(self) -> None:
        """End every fault."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        tasks = [task for name in list(self._working) for task in self._end(name)]
        await asyncio.gather(*tasks, return_exceptions=True)
        faults.ACTIVE.clear()

    def look(self) -> None:
        """Take up what is new in the file, and end the faults whose time is over."""
        if self._is_new():
            self._reread()
        now = self._now()
        on = in_force(self._document, self._service, now) if self._allow_faults else {}
        features = {
            name: flag
            for name, flag in self._document.flags.items()
            if isinstance(flag, Feature) and flag.service == self._service
        }
        self._switch(on)
        self._tell({**features, **on})

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            try:
                self.look()
            except Exception as error:
                log.exception("flags could not be followed", error)

    def _is_new(self) -> bool:
        try:
            status = self._path.stat()
            seen: tuple[int, ...] = (status.st_ino, status.st_mtime_ns, status.st_size)
        except OSError:
            seen = ()
        new = seen != self._seen
        self._seen = seen
        return new

    def _reread(self) -> None:
        try:
            self._document = self._read()
        except (OSError, FlagsError) as error:
            log.warning("flags file is wrong, the last flags stay", **{"weft.why": str(error)})
            return
        self._provider.replace(self._offered())

    def _read(self) -> Document:
        if self._seen == ():
            return Document()
        with self._path.open("rb") as file:
            return read(file.read(MAX_BYTES + 1), self._now())

    def _offered(self) -> Document:
        """What OpenFeature shows: of faults only those that may be on here."""
        flags = self._document.flags
        shown = {
            name: flag
            for name, flag in flags.items()
            if isinstance(flag, Feature) or (self._allow_faults and flag.service == self._service)
        }
        return Document(shown)

    def _switch(self, on: Mapping[str, Fault]) -> None:
        for name in [name for name in faults.ACTIVE if name not in on]:
            del faults.ACTIVE[name]
            self._values[(("fault", name),)] = 0
            self._end(name)
        for name, fault in on.items():
            begins = name not in faults.ACTIVE
            faults.ACTIVE[name] = fault.value
            if begins:
                self._values = {**self._values, (("fault", name),): 1}
                works = faults.EFFECTS.get(name, ())
                self._working[name] = [asyncio.create_task(_effect(name, each)) for each in works]

    def _end(self, name: str) -> list[asyncio.Task[None]]:
        tasks = self._working.pop(name, [])
        for task in tasks:
            task.cancel()
        return tasks

    def _tell(self, flags: Mapping[str, Flag]) -> None:
        """Write one record for each change that took effect."""
        for name in {**self._told, **flags}:
            old, new = self._told.get(name), flags.get(name)
            if old != new:
                log.event("weft.change.flag", "flag changed", **_facts(name, old, new))
        self._told = dict(flags)


def _facts(name: str, old: Flag | None, new: Flag | None) -> dict[str, Any]:
    flag = new or old
    facts: dict[str, Any] = {"weft.flag.name": name, "weft.flag.on": new is not None}
    if isinstance(flag, Feature):
        facts |= {"weft.flag.kind": "feature", "weft.flag.owner": flag.owner}
        facts["weft.flag.value"] = float(flag.percent)
    elif flag is not None:
        facts |= {"weft.flag.kind": "fault", "weft.flag.value": float(flag.value)}
        facts["weft.flag.until"] = flag.until.isoformat(timespec="seconds")
    return facts


async def _effect(name: str, work: Callable[[], Any]) -> None:
    try:
        await work()
    except Exception as error:
        log.exception("fault could not be kept up", error, **{"weft.flag.name": name})
