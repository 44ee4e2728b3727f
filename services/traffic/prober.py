"""Asks every ten seconds, by what a customer does, whether customers would be served."""

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from services.traffic.domain import PROBE_SECONDS
from weft.errors import Unavailable
from weft.telemetry import counter, get_logger, histogram, mark_synthetic, record

log = get_logger(__name__)
_attempts = counter("weft.probe.attempts", "{attempt}", "Probes by what and outcome.")
_duration = histogram("weft.probe.duration", "s", "From a probe's beginning to its good end.")

Tell = Callable[[str, object], None]
"""Takes the name and value of a fact for the probe's span."""


class Probe(Protocol):
    """What is tried: `name` is its word in metrics, `within` the seconds that it may take."""

    name: str
    within: float

    async def __call__(self, tell: Tell) -> None:
        """Try it. Raises Unavailable, msgspec.DecodeError, for whatever is not a good end."""


class Prober:
    """Makes a probe every `pace` seconds, whether those before have ended or not.

    So an outage is counted by its time, however long each probe takes to fail.
    """

    def __init__(self, probe: Probe, *, pace: float = PROBE_SECONDS) -> None:
        self._probe = probe
        self._pace = pace

    async def run(self) -> None:
        """Probe, again and again."""
        mark_synthetic()
        for outcome in ("ok", "failed"):
            self._count(0, outcome)
        async with asyncio.TaskGroup() as probes:
            while True:
                probes.create_task(self._made())
                await asyncio.sleep(self._pace)

    async def _made(self) -> None:
        self._count(1, await self._tried())

    def _count(self, probes: int, outcome: str) -> None:
        _attempts.add(probes, {"probe": self._probe.name, "outcome": outcome})

    async def _tried(self) -> Literal["ok", "failed"]:
        clock = asyncio.get_running_loop().time
        began = clock()
        with record.internal(f"probe {self._probe.name}") as call:
            call.set("weft.synthetic", True)
            try:
                async with asyncio.timeout(self._probe.within):
                    await self._probe(call.set)
            except (Unavailable, TimeoutError, msgspec.DecodeError) as error:
                why = str(error) or f"no end within {self._probe.within:g} s"
                call.set("weft.why", why)
                log.warning("probe failed", **{"weft.why": why})
                return "failed"
        _duration.record(clock() - began, {"probe": self._probe.name})
        return "ok"
