"""One audit: read all sides, and again while something that may still be under way is missing."""

import asyncio
import time
from collections.abc import Sequence

from stack.audit import collector, counts, sample
from stack.audit.verdict import Account, differences
from stack.backends.connect import Backends
from stack.backends.http import BackendSlow

_PAUSE = 2.0


async def audit(
    backends: Backends,
    *,
    since: float,
    size: int = 100,
    trace_ids: Sequence[str] | None = None,
    patience: float = 30.0,
) -> Account:
    """Compare what was told between `since` (epoch seconds) and now with what is stored.

    The sample is `trace_ids`, else so many traces drawn from the gateway's log lines. What is
    missing has `patience` seconds to arrive, a backend as long to answer in time.
    """
    until = time.time()
    end = time.monotonic() + patience
    chosen = trace_ids
    while True:
        late = time.monotonic() > end
        try:
            if chosen is None or (not chosen and trace_ids is None):
                chosen = await sample.choose(backends, since, until, size)
            account = await _read(backends, since, until, chosen)
            if late or not differences(account):
                return account
        except BackendSlow:
            if late:
                raise
        await asyncio.sleep(_PAUSE)


async def _read(
    backends: Backends, since: float, until: float, trace_ids: Sequence[str]
) -> Account:
    return Account(
        since=since,
        until=until,
        records=await counts.records(backends, since, until),
        span_metrics=await counts.span_metrics(backends, since, until),
        measurements=await counts.measurements(backends, until),
        flows=await collector.flows(backends, since, until),
        queued=await collector.queued(backends),
        sample=await sample.look(backends, trace_ids, since, until),
    )
