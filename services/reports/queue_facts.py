"""The facts that steer scaling, each second: what waits, for how long, and how much comes in.

Synthetic reports are left out, unless one has waited for seconds.
"""

import asyncio
import contextlib
from typing import Final

from services.reports import store
from services.reports.store import Backlog
from weft.errors import Unavailable
from weft.postgres import Database
from weft.telemetry import gauge

FACTS_EVERY: Final = 1.0
"""Seconds between two counts, and between two exports of metrics."""


class QueueFacts:
    """Counted in the rows, so all instances tell the same; the last ones while these are away."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._now = Backlog()
        gauge(
            "weft.report.queue.depth",
            "{report}",
            "Reports that wait for a worker.",
            lambda: self._now.waiting,
        )
        gauge(
            "weft.report.queue.age",
            "s",
            "Age of the oldest report that waits.",
            lambda: self._now.oldest,
        )
        gauge(
            "weft.report.queue.requested",
            "{report}",
            "Reports that customers ever asked for.",
            lambda: self._now.requested,
        )
        gauge(
            "weft.report.running",
            "{report}",
            "Reports that have a worker.",
            lambda: self._now.running,
        )

    async def run(self) -> None:
        """Count, again and again."""
        while True:
            with contextlib.suppress(Unavailable):
                self._now = await store.backlog(self._db)
            await asyncio.sleep(FACTS_EVERY)
