"""Whether what the collector received is what the registry and the conventions say.

Only what is of ours is looked at: resources whose `service.namespace` is weft, without the logs
that the backing parts write in their own words.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from registry import conventions, received
from registry.listed import Registry, named, required

MOST_VALUES: Final = 100
"""Of one metric's attribute in one service; and of the names of a service's spans."""
_FOREIGN: Final = "weft.log_shipper"
_OURS: Final = "weft."
_VARYING: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}|[0-9a-f]{16}|\d{6}|tok_|@"
)
"""What a name must not have: identities, secrets, people."""
_BY_THE_SDK: Final = frozenset({"exception.escaped"})
"""Deprecated, and added by the SDK for Python to whatever exception it is told of."""
_TYPES: Final = {
    "string_value": "string",
    "bool_value": "boolean",
    "int_value": "int",
    "double_value": "double",
    "array_value": "array",
}


class Finding(msgspec.Struct, frozen=True, order=True):
    """Something that is not as it should be, said once for each service."""

    what: str
    name: str
    service: str
    detail: str = ""

    def __str__(self) -> str:
        return (
            f"{self.service}: {self.what}: {self.name}{f' ({self.detail})' if self.detail else ''}"
        )


class Seen(msgspec.Struct):
    """How much was looked at, so that nothing is not taken for all is well."""

    spans: int = 0
    points: int = 0
    records: int = 0
    services: set[str] = msgspec.field(default_factory=set)


class Checker:
    """Collects what is wrong."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.findings: set[Finding] = set()
        self.seen = Seen()
        self._values: dict[tuple[str, str, str], set[Any]] = defaultdict(set)
        self._names: dict[str, set[str]] = defaultdict(set)

    def folder(self, folder: Path) -> None:
        """Look at all that was received."""
        for traces in received.traces(folder):
            for group in traces.resource_spans:
                self._spans(group)
        for metrics in received.metrics(folder):
            for of_one in metrics.resource_metrics:
                self._metrics(of_one)
        for logs in received.logs(folder):
            for said in logs.resource_logs:
                self._records(said)
        self._count()

    def _spans(self, group: ResourceSpans) -> None:
        if service := self._service(group.resource):
            for scope in group.scope_spans:
                for span in scope.spans:
                    self._span(service, span)

    def _metrics(self, group: ResourceMetrics) -> None:
        if service := self._service(group.resource):
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    self._metric(service, metric)

    def _records(self, group: ResourceLogs) -> None:
        ours = [scope for scope in group.scope_logs if scope.scope.name != _FOREIGN]
        if ours and (service := self._service(group.resource)):
            for scope in ours:
                for record in scope.log_records:
                    self._record(service, record)

    def _service(self, resource: Resource) -> str:
        """Return the name of a service of ours, else ""."""
        told = _plain(resource.attributes)
        if told.get("service.namespace") != "weft":
            return ""
        service = str(told.get("service.name", "?"))
        if service not in self.seen.services:
            self.seen.services.add(service)
            self._attributes(service, resource.attributes, "resource")
            for name in ("service.version", "service.instance.id", "deployment.environment.name"):
                if name not in told:
                    self._find("missing attribute", name, service, "resource")
        return service

    def _span(self, service: str, span: Span) -> None:
        self.seen.spans += 1
        self._names[service].add(span.name)
        if _VARYING.search(span.name):
            self._find("high-cardinality span name", span.name, service)
        self._attributes(service, span.attributes, "span")
        for event in span.events:
            self._attributes(service, event.attributes, "span event")
        keys = {each.key for each in span.attributes}
        kind = Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower()
        for group in self._registry.spans:
            wanted = required(group)
            if group["span_kind"] == kind and wanted[0] in keys:
                for name in wanted:
                    if name not in keys:
                        self._find("missing attribute", name, service, f"{kind} {span.name}")
                return

    def _record(self, service: str, record: LogRecord) -> None:
        self.seen.records += 1
        self._attributes(service, record.attributes, "log record")
        name = record.event_name
        if not name:
            return
        group = self._registry.events.get(name)
        if group is None:
            if name.startswith(_OURS):
                self._find("unknown event", name, service)
            return
        keys = {each.key for each in record.attributes}
        for wanted in required(group):
            if wanted not in keys:
                self._find("missing attribute", wanted, service, name)

    def _metric(self, service: str, metric: Metric) -> None:
        shape = metric.WhichOneof("data") or ""
        points: Sequence[Any] = getattr(metric, shape).data_points if shape else ()
        self.seen.points += len(points)
        self._kind(service, metric, shape)
        listed = self._registry.metrics.get(metric.name)
        for point in points:
            self._attributes(service, point.attributes, f"metric {metric.name}")
            told = _plain(point.attributes)
            for key, value in told.items():
                self._values[service, metric.name, key].add(value)
                if _VARYING.search(str(value)):
                    detail = f"{key}={value}"
                    self._find("high-cardinality attribute", metric.name, service, detail)
            if listed is not None:
                self._labels(service, metric.name, listed, set(told))

    def _labels(self, service: str, name: str, listed: dict[str, Any], keys: set[str]) -> None:
        for key in keys - set(named(listed)):
            self._find("attribute that is not listed for the metric", key, service, name)
        for key in set(required(listed)) - keys:
            self._find("missing attribute", key, service, name)

    def _kind(self, service: str, metric: Metric, shape: str) -> None:
        """Compare unit and instrument with what is listed."""
        listed = self._registry.metrics.get(metric.name)
        known = conventions.metrics().get(metric.name)
        if listed is not None:
            unit, instrument = listed["unit"], listed["instrument"]
        elif known is not None and not metric.name.startswith(_OURS):
            if known.deprecated:
                self._find("deprecated metric", metric.name, service)
            unit, instrument = known.unit, known.instrument
        else:
            if metric.name.startswith(_OURS) or _is_convention(metric.name, conventions.metrics()):
                self._find("unknown metric", metric.name, service)
            return
        if unit != metric.unit:
            self._find("wrong unit", metric.name, service, f"{metric.unit}, not {unit}")
        made = _instrument(metric, shape)
        if instrument and made != instrument:
            self._find("wrong instrument", metric.name, service, f"{made}, not {instrument}")

    def _attributes(self, service: str, pairs: Sequence[KeyValue], where: str) -> None:
        for pair in pairs:
            key = pair.key
            listed = self._registry.attributes.get(key)
            known = conventions.attributes().get(key)
            if known is not None and known.deprecated and key not in _BY_THE_SDK:
                self._find("deprecated attribute", key, service, where)
            if listed is not None:
                made = _TYPES.get(pair.value.WhichOneof("value") or "", "none")
                if made != listed["type"] and (made, listed["type"]) != ("array", "string[]"):
                    detail = f"{made}, not {listed['type']}, in a {where}"
                    self._find("wrong type", key, service, detail)
            elif key.startswith(_OURS):
                self._find("unknown attribute", key, service, where)
            elif known is None and _is_convention(key, conventions.attributes()):
                self._find("attribute that the conventions do not have", key, service, where)

    def _count(self) -> None:
        for (service, metric, key), values in self._values.items():
            if len(values) > MOST_VALUES:
                detail = f"{key} has {len(values)} values"
                self._find("high-cardinality attribute", metric, service, detail)
        for service, names in self._names.items():
            if len(names) > MOST_VALUES:
                some = ", ".join(sorted(names)[:3])
                self._find("many span names", str(len(names)), service, some)

    def _find(self, what: str, name: str, service: str, detail: str = "") -> None:
        self.findings.add(Finding(what, name, service, detail))


def _is_convention(name: str, known: dict[str, conventions.Convention]) -> bool:
    """Whether a name is in a namespace of OpenTelemetry's, whose names are not ours to make."""
    root = name.partition(".")[0]
    return "." in name and any(each.startswith(f"{root}.") for each in known)


def _instrument(metric: Metric, shape: str) -> str:
    if shape == "sum":
        return "counter" if metric.sum.is_monotonic else "updowncounter"
    return shape


def _plain(pairs: Sequence[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind not in (None, "array_value", "kvlist_value") else str(value)


def checked(folder: Path, registry: Registry | None = None) -> tuple[list[Finding], Seen]:
    """Return what is wrong in a folder of received telemetry, and how much was looked at."""
    checker = Checker(registry or Registry.load())
    checker.folder(folder)
    return sorted(checker.findings), checker.seen
