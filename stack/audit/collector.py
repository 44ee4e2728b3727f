"""What the collector counted of itself. A kill forgets what it counted since its last scrape."""

from collections import defaultdict

import msgspec

from stack.audit.counts import BEFORE, grown
from stack.backends.connect import Backends

KINDS = {"spans": "spans", "log_records": "log records", "metric_points": "metric points"}
_REFUSED = "otelcol_receiver_refused"
_LOST = ("otelcol_exporter_enqueue_failed", "otelcol_exporter_send_failed")


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of item through the collector.

    `refused` ones stay with their sender; `failed` ones were given up at the door of a queue or by
    an exporter; `queued` items or batches wait on disk now.
    """

    kind: str
    accepted: int
    refused: int
    sent: int
    failed: int


async def flows(backends: Backends, since: float, until: float) -> list[Flow]:
    """Return the flow of spans, log records and metric points between two times (epoch s)."""
    found = await backends.prometheus.lines(
        # Jaeger is a collector too, by the same names.
        '{service_name="otel-collector",'
        '__name__=~"otelcol_(receiver|exporter)_.+_(spans|log_records|metric_points)(_total)?"}',
        since - BEFORE,
        until,
    )
    counted: dict[str, float] = defaultdict(float)
    for line in found:
        counted[line.labels["__name__"].removesuffix("_total")] += grown(line.points, since)
    return [
        Flow(
            kind=name,
            accepted=round(counted[f"otelcol_receiver_accepted_{kind}"]),
            refused=round(counted[f"{_REFUSED}_{kind}"]),
            sent=round(counted[f"otelcol_exporter_sent_{kind}"]),
            failed=round(sum(counted[f"{lost}_{kind}"] for lost in _LOST)),
        )
        for kind, name in KINDS.items()
    ]


async def queued(backends: Backends) -> dict[str, int]:
    """Return what waits in the queue of each exporter, in items."""
    samples = await backends.prometheus.query("sum by (exporter) (otelcol_exporter_queue_size)")
    return {sample.labels.get("exporter", ""): round(sample.value) for sample in samples}
