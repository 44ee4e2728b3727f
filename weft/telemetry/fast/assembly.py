"""The fast engine with all that it needs, from encoding to the collector's door."""

from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import IdGenerator

from weft.telemetry import accounting, log, record
from weft.telemetry.accounting import Signal
from weft.telemetry.engine import Ended
from weft.telemetry.exporting import NOT_NOW, Collector
from weft.telemetry.fast.delivery import Delivery, Post
from weft.telemetry.fast.engine import FastEngine
from weft.telemetry.fast.outbox import Outgoing
from weft.telemetry.fast.points import WithOurs
from weft.telemetry.fast.providers import Loggers, Tracers
from weft.telemetry.fast.signals import Signals
from weft.telemetry.fast.spill import LIMITS, Folder, InMemory, Spill, Store
from weft.telemetry.instruments import Instrument
from weft.telemetry.labels import Labels
from weft.telemetry.sampling import EdgeSampler
from weft.telemetry.sdk import SdkEngine


class Fast(NamedTuple):
    """The parts that the process has to set and, in the end, to close."""

    engine: FastEngine
    tracers: Tracers
    loggers: Loggers
    metric_exporter: MetricExporter
    delivery: Delivery


def assemble(
    resource: Resource,
    sampler: EdgeSampler,
    id_generator: IdGenerator | None,
    collector: Collector,
    name: str,
    spill: Path | None,
) -> Fast:
    """Build the engine of the process `name` and start its threads."""
    outgoing = Outgoing(resource)

    def added(what: str) -> None:
        facts = {"weft.telemetry.reason": what}
        record.use(_SdkSpans(engine))
        log.emit("INFO", "weft.telemetry", "the SDK's engine is used", facts)

    tracers = Tracers(
        outgoing, added, sampler=sampler, resource=resource, id_generator=id_generator
    )
    loggers = Loggers(outgoing, added, resource=resource)
    signals = Signals(outgoing, loggers)
    engine = FastEngine(tracers, signals)
    delivery = Delivery(
        engine.drain,
        outgoing,
        _stores(spill, name),
        {"traces": _post(OTLPSpanExporter()), "logs": _post(OTLPLogExporter())},
        collector,
    )
    accounting.count(delivery.counted)
    exporter = WithOurs(OTLPMetricExporter(), resource, engine.points)
    return Fast(engine, tracers, loggers, exporter, delivery)


def _post(exporter: Any) -> Post:
    """Return what posts bytes as `exporter` would: address, headers, TLS, compression, time-out."""
    client = exporter._client  # noqa: SLF001 - all of OTEL_EXPORTER_OTLP_* stands behind it

    def post(body: bytes) -> bool | None:
        result = client.export(body)
        return None if result.status_code in NOT_NOW else bool(result.success)

    return post


def _stores(spill: Path | None, name: str) -> dict[Signal, Store]:
    if spill is not None:
        try:
            folder = Folder(spill, name)
            return {signal: Spill(folder, signal, limit) for signal, limit in LIMITS.items()}
        except OSError as error:
            facts = {"error.type": type(error).__name__}
            log.emit("WARNING", "weft.telemetry", "telemetry has no folder to wait in", facts)
    return {signal: InMemory(limit) for signal, limit in LIMITS.items()}


class _SdkSpans(SdkEngine):
    """Spans and records by the SDK, so that every processor sees them; points as they were."""

    def __init__(self, fast: FastEngine) -> None:
        super().__init__()
        self._fast = fast

    def begin_count(self, counter: Instrument, labels: Labels) -> None:
        self._fast.begin_count(counter, labels)

    def measure(self, instrument: Instrument, value: float, labels: Labels, call: Ended) -> None:
        self._fast.witness(instrument, value, labels, call)
