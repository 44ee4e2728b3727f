"""A worker: one report from its claim to its result, kept by its lease."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any, Final

from services.report_runner import decisions
from services.report_runner.making import CannotBeMade, Made, Maker
from services.report_runner.requestor import Claim, Lost, Requestor
from weft.errors import Unavailable
from weft.postgres import Database
from weft.telemetry import counter, get_logger, histogram, record
from weft.webhooks import Webhooks

TARGET: Final = "reports"
RESULT: Final = "report.result"
RENEWALS: Final = 5
"""Times that a lease is renewed before it would end."""
_LEAST_PAUSE: Final = 0.2
"""Seconds between two words on progress."""
AGAIN_IN: Final = 5.0
"""Seconds until a report is tried again whose dependency was away."""

log = get_logger(__name__)
_durations = histogram(
    "weft.report.run.duration",
    "s",
    "Time of a worker for a report that it finished, or found that it cannot be made.",
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
)
_runs = counter("weft.report.runs", "{report}", "Reports that a worker had, by what came of them.")


class Progress:
    """How far a report is; `news` is set whenever its stage changes."""

    def __init__(self) -> None:
        self.stage = "claimed"
        self.percent = 0
        self.news = asyncio.Event()

    def tell(self, stage: str, percent: int) -> None:
        """Note stage and percentage."""
        if (stage, percent) != (self.stage, self.percent):
            self.stage, self.percent = stage, percent
            self.news.set()


class Work:
    """What workers do, each with one report at a time."""

    def __init__(
        self,
        maker: Maker,
        requestor: Requestor,
        db: Database,
        webhooks: Webhooks,
        *,
        again_in: float = AGAIN_IN,
    ) -> None:
        self._maker = maker
        self._requestor = requestor
        self._db = db
        self._webhooks = webhooks
        self._again_in = again_in

    async def run(self, claim: Claim) -> None:
        """Make the report and store its result; or give it back. A cancellation gives it back."""
        with record.internal("run report") as call:
            call.set("weft.report.id", claim.report_id)
            call.set("weft.synthetic", claim.synthetic or None)
            outcome = "released"
            try:
                outcome = await self._run(claim)
            except Lost:
                outcome = "lost"
            except Unavailable as error:
                why = f"{error.dependency}_unavailable"
                await self._release(claim, why, again_in=self._again_in)
            except asyncio.CancelledError:
                await asyncio.shield(self._release(claim, "stopped", spent=False))
                raise
            except Exception as error:
                log.exception("report failed", error, **_facts(claim))
                await self._release(claim, "internal_error", again_in=self._again_in)
            finally:
                if not claim.synthetic:
                    _runs.add(1, {"weft.report.outcome": outcome})
                log.info("report run", **_facts(claim), **{"weft.report.outcome": outcome})

    async def _run(self, claim: Claim) -> str:
        began, outcome = time.monotonic(), "finished"
        try:
            made = await self._made(claim)
        except CannotBeMade as error:
            await self._finish(claim, {"reason": error.reason})
            outcome = "failed"
        else:
            await self._finish(claim, {"made": made})
        if not claim.synthetic:
            await self._took(time.monotonic() - began)
        return outcome

    async def _took(self, seconds: float) -> None:
        """Tell how long a run took: what there is to do is counted in such times."""
        _durations.record(seconds)
        with contextlib.suppress(Unavailable):
            await decisions.took(self._db, seconds)

    async def _made(self, claim: Claim) -> Made:
        """Make the report while it is ours. Raises Lost, CannotBeMade, Unavailable."""
        progress = Progress()
        work = asyncio.create_task(self._maker.make(claim, progress.tell))
        keep = asyncio.create_task(self._keep(claim, progress))
        try:
            done, _ = await asyncio.wait(
                {work, keep}, timeout=claim.remaining, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise Lost("its time is over")
            if work not in done:
                await keep
            return work.result()
        finally:
            await _ended(work, keep)

    async def _keep(self, claim: Claim, progress: Progress) -> None:
        """Renew the lease and tell the progress, until the report is lost."""
        until = time.monotonic() + claim.lease
        pause = claim.lease / RENEWALS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await progress.news.wait()
            progress.news.clear()
            asked = time.monotonic()
            try:
                await self._requestor.progress(
                    claim, stage=progress.stage, percent=progress.percent
                )
            except Unavailable:
                if time.monotonic() > until:
                    raise Lost("its lease ended unheard") from None
            else:
                until = asked + claim.lease
            await asyncio.sleep(_LEAST_PAUSE)

    async def _finish(self, claim: Claim, result: Mapping[str, Any]) -> None:
        """Store the result; it is sent until reports has taken it."""
        data = {"report_id": claim.report_id, "fence": claim.fence, **result}
        identity = f"{claim.report_id}.{claim.fence}"
        await self._webhooks.send(self._db, TARGET, id=identity, type=RESULT, data=data)
        # Whoever has heard the result already says that the report is no longer ours.
        with contextlib.suppress(Lost, Unavailable):
            await self._requestor.progress(claim, stage="deliver", percent=99)

    async def _release(
        self, claim: Claim, why: str, *, again_in: float = 0.0, spent: bool = True
    ) -> None:
        """Give the report back; if that cannot be said, its lease ends by itself."""
        log.warning("report released", **_facts(claim), **{"weft.why": why})
        with contextlib.suppress(Unavailable):
            await self._requestor.release(claim, why=why, again_in=again_in, spent=spent)


async def _ended(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _facts(claim: Claim) -> dict[str, Any]:
    return {"weft.report.id": claim.report_id, "weft.report.attempt": claim.fence}
