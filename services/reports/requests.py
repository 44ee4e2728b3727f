"""The life of a report: asked for, handed out, kept, given back, ended; each step told."""

from collections.abc import Mapping
from typing import Any, Final

from services.reports import store
from services.reports.channel import Channel
from services.reports.domain import (
    LOST_WORKER,
    MAX_ATTEMPTS,
    REPUBLISH,
    End,
    Wish,
    lease_of,
)
from services.reports.messages import ENDS, Result, RunReport
from services.reports.store import Claimed, Report
from weft.ids import uuid7
from weft.messaging import outgoing
from weft.postgres import Database, Deadlines, Outbox, Transaction
from weft.postgres.deadline_scanner import Handler
from weft.telemetry import counter, get_logger, histogram

ATTENDED: Final = "report"
"""The deadline by which somebody has to speak for a report."""
EXPIRY: Final = "report_expiry"
_WAITS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

log = get_logger(__name__)
_ended = counter("weft.reports", "{report}", "Reports that ended, by how.")
_republished = counter("weft.report.republished", "{report}", "Reports that lost their worker.")
_wait = histogram(
    "weft.report.wait", "s", "From a report's request to its first worker.", buckets=_WAITS
)


class Requests:
    """The steps of reports, each in the transaction `tx` of the caller.

    Deadline rows are taken before a report's own row, as the scanner does, and the user's channel
    last: so no two wait for each other.
    """

    def __init__(self, db: Database, channel: Channel, *, lease: float, expires_in: float) -> None:
        self._outbox = Outbox(db)
        self._deadlines = Deadlines(db)
        self._channel = channel
        self._lease = lease
        self._expires_in = expires_in

    @property
    def lease(self) -> float:
        """Seconds that a claim, and each word on progress, keep a report."""
        return self._lease

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What a DeadlineScanner is to run."""
        return {ATTENDED: self._unattended, EXPIRY: self._expire}

    async def ask(self, tx: Transaction, subject: str, wish: Wish, *, trace_id: str) -> str:
        """Store a request and have it made; return its id."""
        report_id = uuid7()
        await self._deadlines.set(tx, EXPIRY, report_id, due_in=self._expires_in)
        await self._deadlines.set(tx, ATTENDED, report_id, due_in=REPUBLISH)
        await store.insert(
            tx, report_id, subject, wish, trace_id=trace_id, expires_in=self._expires_in
        )
        await self._hand_out(tx, report_id, wish.priority)
        data = {
            "status": "queued",
            "kind": wish.kind,
            "from": wish.first,
            "to": wish.end,
            "format": wish.format,
        }
        await self._tell(tx, subject, "report.queued", report_id, data)
        return report_id

    async def claim(self, tx: Transaction, report_id: str, claim_id: str) -> Claimed | None:
        """Hand a report out to a runner; None if it is not to be had."""
        await self._deadlines.set(tx, ATTENDED, report_id, due_in=self._lease)
        claimed = await store.claim(tx, report_id, claim_id, attempts=MAX_ATTEMPTS)
        if claimed is None:
            return None
        report = claimed.report
        if report.attempts == 1 and not report.synthetic:
            tx.on_commit(lambda: _wait.record(claimed.waited))
        await self._tell_progress(tx, report.subject, report_id, "running", "claimed", 0)
        return claimed

    async def progress(
        self, tx: Transaction, report_id: str, fence: int, *, stage: str, percent: int
    ) -> bool:
        """Note how far a report is, and keep it; False if `fence` has it no longer."""
        due_in = lease_of(stage, self._lease)
        await self._deadlines.set(tx, ATTENDED, report_id, due_in=due_in)
        noted = await store.progress(tx, report_id, fence, stage=stage, percent=percent)
        if noted is None:
            return False
        subject, news = noted
        if news:
            await self._tell_progress(tx, subject, report_id, "running", stage, percent)
        return True

    async def release(
        self, tx: Transaction, report_id: str, fence: int, *, why: str, again_in: float, spent: bool
    ) -> bool:
        """Take a report back and have it made in `again_in` seconds; False if it was lost."""
        await self._deadlines.set(tx, ATTENDED, report_id, due_in=again_in)
        report = await store.release(tx, report_id, fence, why=why, spent=spent)
        if report is None:
            return False
        await self._tell_progress(tx, report.subject, report_id, "queued", None, 0)
        return True

    async def end(
        self,
        tx: Transaction,
        report_id: str,
        status: End,
        *,
        reason: str | None = None,
        fence: int | None = None,
        made: tuple[str, int, int] | None = None,
    ) -> Report | None:
        """End a report, once: None if it has ended, or `fence` has it no longer."""
        await self._deadlines.cancel(tx, ATTENDED, report_id)
        await self._deadlines.cancel(tx, EXPIRY, report_id)
        report = await store.end(tx, report_id, status, reason=reason, fence=fence, made=made)
        if report is None:
            return None
        result = None if made is None else Result(rows=made[1], bytes=made[2])
        kind = ENDS[status]
        if not report.synthetic:
            event = kind(report_id=report_id, subject=report.subject, reason=reason, result=result)
            await self._outbox.add(tx, outgoing(event, correlation_id=report_id))
            tx.on_commit(lambda: _ended.add(1, {"weft.report.outcome": status}))
        data = {"status": status, "reason": reason, "result": result}
        await self._tell(tx, report.subject, kind.message_type, report_id, data)
        facts = {
            "weft.report.id": report_id,
            "weft.report.outcome": status,
            "weft.synthetic": report.synthetic or None,
        }
        tx.on_commit(lambda: log.info("report ended", **facts))
        return report

    async def _unattended(self, tx: Transaction, report_id: str) -> None:
        """Nobody has spoken for the report: hand it out again, or say that it failed."""
        found = await store.unattended(tx, report_id, why=LOST_WORKER)
        if found is None:
            return
        report, why = found
        if report.attempts >= MAX_ATTEMPTS:
            await self.end(tx, report_id, "failed", reason=why)
            return
        await self._deadlines.set(tx, ATTENDED, report_id, due_in=REPUBLISH)
        await self._hand_out(tx, report_id, report.priority)
        if why is not None:
            tx.on_commit(lambda: _republished.add(1))

    async def _expire(self, tx: Transaction, report_id: str) -> None:
        await self.end(tx, report_id, "expired", reason="expired")

    async def _hand_out(self, tx: Transaction, report_id: str, priority: int) -> None:
        command = RunReport(report_id=report_id)
        await self._outbox.add(tx, outgoing(command, correlation_id=report_id, priority=priority))

    async def _tell_progress(
        self, tx: Transaction, user: str, report_id: str, status: str, stage: str | None, done: int
    ) -> None:
        data = {"status": status, "stage": stage, "progress": done}
        await self._tell(tx, user, "report.progress", report_id, data, webhooks=False)

    async def _tell(
        self, tx: Transaction, user: str, type_: str, report_id: str, data: Any, **options: bool
    ) -> None:
        await self._channel.publish(tx, user=user, type=type_, id=report_id, data=data, **options)
