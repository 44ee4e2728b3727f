"""Forgets what is too old: messages of users' channels, and reports with their artifacts."""

import asyncio
import random
from typing import Final

from services.reports import channel_store, store
from services.reports.domain import SYNTHETIC_KEPT
from weft.artifacts import Artifacts
from weft.postgres import Database
from weft.telemetry import get_logger

CLEAN_EVERY: Final = 600.0
"""Seconds between two looks for what is too old to be kept."""
_AT_ONCE: Final = 100

log = get_logger(__name__)


async def run(db: Database, artifacts: Artifacts, *, kept: float) -> None:
    """Look again and again; customers' reports are `kept` for so many seconds after their end."""
    while True:
        await channel_store.delete_old(db)
        forgotten = await forget(db, artifacts, kept=kept)
        forgotten += await forget(db, artifacts, kept=SYNTHETIC_KEPT, synthetic=True)
        if forgotten:
            log.info("old reports deleted", **{"weft.report.forgotten": forgotten})
        await asyncio.sleep(CLEAN_EVERY * random.uniform(0.8, 1.2))


async def forget(
    db: Database, artifacts: Artifacts, *, kept: float, synthetic: bool = False
) -> int:
    """Delete the reports that ended more than `kept` seconds ago; return how many they were.

    First the artifacts, also of runners that lost the report, then its row, which is what knows of
    them. Raises Unavailable.
    """
    forgotten = 0
    while old := await store.ended(db, synthetic=synthetic, before=kept, limit=_AT_ONCE):
        for report_id in old:
            await artifacts.clear(str(report_id))
        await store.delete(db, old)
        forgotten += len(old)
    return forgotten
