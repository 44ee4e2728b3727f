"""What the processes counted themselves, and what of it arrived, service by service.

A process' own count comes by scrape, past the collector, so it is a second witness. It is read at
the times of two scrapes; what lies between is compared. What a process counted after its last
scrape before a kill is unknown, so there can be more stored than counted, which is no loss.
"""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from stack.backends.connect import Backends
from stack.backends.prometheus import Line, Sample
from weft.backends.logql import quote
from weft.telemetry.instruments import ALL, Instrument

MARGIN = 1.0
"""Seconds before the first scrape and after the last in which records count as stored, too: they
are counted in slices of 200 ms, so some that are older were not counted yet, and a scrape's time is
that of its begin. So many records may be missing unseen."""

BEFORE = 60.0
"""Seconds before the time in question in which a series' last sample before it is looked for."""

OWN = "weft_accounting_measurements_total"

OUTCOMES = ("started", "sent", "dropped")


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """Spans (`traces`) or log records (`logs`) of one service. `stored` is None where nobody knows.

    `margin` of the stored ones are from the second before the first scrape or after the last.
    """

    service: str
    signal: str
    started: int
    sent: int
    dropped: int
    stored: int | None
    margin: int = 0

    @property
    def missing(self) -> int:
        """How many of those that were started are certainly not stored."""
        return 0 if self.stored is None else max(0, self.started - self.dropped - self.stored)


class Measurements(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument of one instance: its own count, and the cumulative one in Prometheus."""

    instance: str
    metric: str
    own: int
    stored: int

    @property
    def missing(self) -> int:
        return max(0, self.own - self.stored)


def grown(points: Sequence[tuple[float, float]], since: float) -> float:
    """Return how much a counter grew from its last sample before `since` on.

    One that has none began later, from 0; so did one that fell, with a restarted process.
    """
    total, before = 0.0, 0.0
    for at, value in points:
        if at > since:
            total += value - before if value >= before else value
        before = value
    return total


def first(points: Sequence[tuple[float, float]], since: float) -> float:
    """Return from when on `grown` counts: the time of the last sample before `since`, or that."""
    return max((at for at, _ in points if at <= since), default=since)


async def records(backends: Backends, since: float, until: float) -> list[Records]:
    """Return the records of all services between two times, in epoch seconds."""
    found = await backends.prometheus.lines("weft_accounting_records_total", since - BEFORE, until)
    counted: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    spans: dict[str, list[float]] = {}
    for line in found:
        service, points = line.labels["service_name"], line.points
        outcomes = counted[service, line.labels["signal"]]
        outcomes[line.labels["outcome"]] += grown(points, since)
        begin, end = first(points, since), points[-1][0]
        reach = spans.setdefault(service, [begin, end])
        reach[:] = [min(reach[0], begin), max(reach[1], end)]
    rows = []
    for (service, signal), outcomes in sorted(counted.items()):
        started, sent, dropped = (round(outcomes[name]) for name in OUTCOMES)
        row = Records(
            service=service, signal=signal, started=started, sent=sent, dropped=dropped, stored=None
        )
        if signal == "logs":
            begin, end = spans[service]
            stored = await _stored(backends, service, begin - MARGIN, end + MARGIN)
            margin = stored - await _stored(backends, service, begin, end)
            row = msgspec.structs.replace(row, stored=stored, margin=margin)
        rows.append(row)
    return rows


async def measurements(backends: Backends, until: float) -> list[Measurements]:
    """Return what every living instance had measured by `until`, and what Prometheus has by now.

    Where the last look before `until` was at a process that has been restarted since, its count is
    larger than the present one, which counts then.
    """
    own = await backends.prometheus.query(OWN, at=until)
    now = {_whose(sample): sample.value for sample in await backends.prometheus.query(OWN)}
    stored = {
        each.name: {
            sample.labels.get("service_instance_id", ""): round(sample.value)
            for sample in await backends.prometheus.query(
                f"sum by (service_instance_id) ({series(each)})"
            )
        }
        for each in ALL
    }
    rows = []
    for sample in own:
        instance, metric = _whose(sample)
        counted = round(min(sample.value, now.get((instance, metric), sample.value)))
        there = stored.get(metric, {}).get(instance, 0)
        rows.append(Measurements(instance=instance, metric=metric, own=counted, stored=there))
    return sorted(rows, key=lambda row: (row.instance, row.metric))


def _whose(sample: Sample) -> tuple[str, str]:
    return sample.labels["service_instance_id"], sample.labels["metric"]


def series(instrument: Instrument) -> str:
    """Return the name under which Prometheus counts an instrument's measurements."""
    name = instrument.name.replace(".", "_")
    return f"{name}_total" if instrument.bounds is None else f"{name}_seconds_count"


async def span_metrics(backends: Backends, since: float, until: float) -> dict[str, int]:
    """Return the spans of each service that the collector saw: about, since a kill forgets some."""
    found = await backends.prometheus.lines(
        "traces_span_metrics_calls_total", since - BEFORE, until
    )
    return _by_service(found, since)


def _by_service(found: list[Line], since: float) -> dict[str, int]:
    counted: dict[str, float] = defaultdict(float)
    for line in found:
        counted[line.labels.get("service_name", "")] += grown(line.points, since)
    return {name: round(number) for name, number in counted.items()}


async def _stored(backends: Backends, service: str, since: float, until: float) -> int:
    milliseconds = max(1, round((until - since) * 1000))
    selector = f"{{service_name={quote(service)}}}"
    expression = f"sum(count_over_time({selector}[{milliseconds}ms]))"
    return await backends.loki.count(expression, at=until)
