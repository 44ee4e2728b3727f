"""What is missing, and at which place of the way it first is."""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from stack.audit.collector import Flow
from stack.audit.counts import Measurements, Records
from stack.audit.sample import Looked

PLACES = ("process", "collector", "jaeger", "loki", "prometheus")
"""The places of the way, in its order."""

_STORES = {"traces": "jaeger", "logs": "loki"}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """All that one audit has read. `since` and `until` in epoch seconds."""

    since: float
    until: float
    records: list[Records]
    span_metrics: dict[str, int]
    measurements: list[Measurements]
    flows: list[Flow]
    queued: dict[str, int]
    sample: list[Looked]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """So many are `missing` at a `place` of the way, and what is known of them."""

    place: str
    what: str
    missing: int


def differences(account: Account) -> list[Difference]:
    """Return what is missing, in the order of the way; nothing if all is stored."""
    found = [
        *_dropped(account.records),
        *_failed(account.flows),
        *_unstored(account.records),
        *_sampled(account.sample),
        *_behind(account.measurements),
    ]
    return sorted(found, key=lambda each: PLACES.index(each.place))


def _dropped(rows: Sequence[Records]) -> Iterator[Difference]:
    for row in rows:
        if row.dropped:
            what = f"{row.signal} of {row.service}: no room, or the collector refused them"
            yield Difference(place="process", what=what, missing=row.dropped)


def _failed(flows: Sequence[Flow]) -> Iterator[Difference]:
    for flow in flows:
        if flow.failed:
            what = f"{flow.kind}: given up by an exporter"
            yield Difference(place="collector", what=what, missing=flow.failed)


def _unstored(rows: Sequence[Records]) -> Iterator[Difference]:
    for row in rows:
        if row.missing:
            what = f"log records of {row.service}: told and not stored"
            yield Difference(place=_STORES[row.signal], what=what, missing=row.missing)


def _sampled(sample: Sequence[Looked]) -> Iterator[Difference]:
    spans = Counter(service for looked in sample for service in looked.spans)
    lines = Counter(service for looked in sample for service in looked.lines)
    for place, counted in (("jaeger", spans), ("loki", lines)):
        kind = "spans" if place == "jaeger" else "log lines"
        for service, number in sorted(counted.items()):
            what = f"{kind} of {service} in the sampled traces"
            yield Difference(place=place, what=what, missing=number)


def _behind(rows: Sequence[Measurements]) -> Iterator[Difference]:
    for row in rows:
        if row.missing:
            what = f"measurements of {row.metric} by {row.instance}"
            yield Difference(place="prometheus", what=what, missing=row.missing)
