"""Decides how many workers there should be: one instance at a time, from when an alert wakes it
until what waited is done and the least of workers is left."""

import time
from collections.abc import Mapping
from typing import Final

from services.report_runner import decisions
from services.report_runner.decisions import SIGNAL, Phase, State
from services.report_runner.requestor import Facts, Requestor
from services.report_runner.scaling import Decision, Limits, Sizer
from weft.errors import Unavailable
from weft.postgres import Database, Lease, Woken
from weft.telemetry import Values, gauge, get_logger, record, untraced

LEASE: Final = "scaler"
EVERY: Final = 1.0
"""Seconds between two looks at the facts."""
FACTS_WITHIN: Final = 1.0
"""Seconds that reports has to tell the facts."""

log = get_logger(__name__)


class Scaler(Woken):
    """Component: of all instances, the one that holds the lease looks at the facts every second.

    That keeps the forecast at hand. Only while it is awake it also sets the number of workers:
    an alert wakes it, and it sleeps again when none fires, nothing waits and the size is at its
    least. Without facts the last size holds.
    """

    def __init__(self, db: Database, requestor: Requestor, limits: Limits) -> None:
        super().__init__(db, SIGNAL, name="scaler")
        self._requestor = requestor
        self._limits = limits
        self._sizer = Sizer(limits)
        self._lease = Lease(db, LEASE)
        self._last: Decision | None = None
        self._told = False

    async def start(self) -> None:
        """Begin in the background."""
        gauge(
            "weft.report.workers.minimum",
            "{worker}",
            "Workers that there are at least.",
            lambda: self._limits.min_workers,
        )
        gauge(
            "weft.report.forecast.error",
            "",
            "How wrong the forecast of arrivals was lately.",
            lambda: _by_measure(self._last, {"mae": "mae", "mase": "mase"}),
        )
        gauge(
            "weft.report.arrivals",
            "{report}/s",
            "Reports that come in, as measured and as foretold.",
            lambda: _by_measure(
                self._last, {"measured": "arrival_rate", "forecast": "forecast_rate"}
            ),
        )
        await super().start()

    async def _round(self) -> None:
        if await self._lease.acquire():
            log.info("scaler is active", **{"weft.lease.epoch": self._lease.epoch})
            try:
                async with self._lease.kept():
                    await self._look_while_held()
            finally:
                self._last = None
        await self._pause(min(self._lease.remaining + 0.01, EVERY / 2))

    async def _look_while_held(self) -> None:
        while self._lease.held and not self._stopping.is_set():
            self._wake.clear()
            began = time.monotonic()
            await self._look()
            await self._sleep(EVERY - (time.monotonic() - began))

    async def _look(self) -> None:
        seen = await decisions.state(self._db)
        facts = await self._facts()
        if facts is None:
            return
        self._last = self._sizer.step(time.time(), facts, seen.service_time, seen.desired)
        phase = phase_of(seen, self._last, least=self._limits.min_workers)
        if phase is not None:
            await self._decide(phase, self._last, seen.firing)

    async def _facts(self) -> Facts | None:
        try:
            with untraced():
                facts = await self._requestor.facts(within=FACTS_WITHIN)
        except Unavailable as error:
            if not self._told:
                log.warning("scaler waits for the facts", **{"weft.why": str(error)})
            self._told = True
            return None
        self._told = False
        return facts

    async def _decide(self, phase: Phase, decision: Decision, alerts: list[str]) -> None:
        with record.internal("scale workers") as call:
            facts = {
                "weft.scale.service": "report_runner",
                "weft.scale.workers": decision.workers,
                "weft.scale.before": decision.before,
                "weft.scale.reason": decision.reason.value,
            }
            for name, value in facts.items():
                call.set(name, value)
            async with self._db.transaction() as tx:
                stored = await decisions.decide(
                    tx,
                    lease=self._lease.name,
                    epoch=self._lease.epoch,
                    phase=phase,
                    decision=decision,
                    alerts=alerts,
                )
            if not stored:
                return
            if phase != "changed":
                log.info("scaler woke" if phase == "woke" else "scaler sleeps", **facts)
            if decision.workers != decision.before:
                log.event("weft.change.scale", "workers scaled", **facts)


def phase_of(seen: State, decision: Decision, *, least: int) -> Phase | None:
    """Return what a decision is of a wake, None if nothing is to be done: pure."""
    if seen.wake != "awake":
        return "woke" if seen.wake == "woken" or seen.firing else None
    if not seen.firing and not decision.waiting and decision.workers <= least:
        return "slept"
    return "changed" if decision.workers != decision.before else None


def _by_measure(decision: Decision | None, fields: Mapping[str, str]) -> Values:
    """Return what is known of the fields, each by the name of its measure."""
    known: dict[tuple[tuple[str, str], ...], float] = {}
    for measure, field in fields.items():
        value = getattr(decision, field, None)
        if value is not None:
            known[("measure", measure),] = value
    return known
