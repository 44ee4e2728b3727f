"""Exporters that keep a batch until the collector has answered."""

import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from weft.telemetry.accounting import Records, Signal

REFUSALS = 20
"""After so many refusals by a collector that does answer, the batch is at fault and is dropped."""

NOT_NOW = frozenset({429, 502, 503, 504})
"""Statuses by which OTLP/HTTP says that the same batch may be taken later."""

PAUSE_MAX = 5.0


class Collector:
    """What all exporters of a process know of their collector: is it away, and was that said."""

    def __init__(self, endpoint: str, say: Callable[..., None]) -> None:
        parts = urlsplit(endpoint)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 4318)
        self._say = say
        self._away = False
        self._full = False
        self._lock = threading.Lock()
        self.closing = threading.Event()

    def answers(self) -> bool:
        """Tell whether something listens at the collector's address."""
        try:
            with socket.create_connection(self._address, timeout=1.0):
                return True
        except OSError:
            return False

    def note(self, *, away: bool) -> None:
        """Say that the collector went away or came back, once for each change."""
        with self._lock:
            if away == self._away:
                return
            self._away, self._full = away, False
        host, port = self._address
        level, message = (
            ("WARNING", "collector is away, telemetry is kept")
            if away
            else ("INFO", "collector is back")
        )
        self._say(level, "weft.telemetry", message, {"server.address": host, "server.port": port})

    def refused(self, items: int) -> None:
        """Say that a batch was dropped since the collector does not take it."""
        facts = {"weft.telemetry.items": items}
        self._say("ERROR", "weft.telemetry", "collector refused telemetry", facts)

    def dropped(self, items: int) -> None:
        """Say, the first time since the collector was last back, that there is no more room."""
        with self._lock:
            if self._full:
                return
            self._full = True
        facts = {"weft.telemetry.items": items}
        self._say("ERROR", "weft.telemetry", "no room for telemetry, it is dropped", facts)


def deliver(
    collector: Collector,
    counted: Records,
    signal: Signal,
    items: int,
    export: Callable[[], bool | None],
) -> bool | None:
    """Call `export` until the collector takes the batch or (False) refuses it for good; count it.

    `export` gives True when it is taken, None when the collector has no room now, and False when
    it is refused or nobody answers. None if the process ends first.
    """
    pause = 0.25
    refusals = 0
    while not (taken := export()):
        if not collector.answers():
            collector.note(away=True)
        elif taken is not None:
            refusals += 1
        if refusals >= REFUSALS:
            collector.refused(items)
            counted["dropped"][signal] += items
            return False
        if collector.closing.wait(pause * random.uniform(0.5, 1.0)):
            return None
        pause = min(pause * 2, PAUSE_MAX)
    collector.note(away=False)
    counted["sent"][signal] += items
    return True


class PatientSpanExporter(SpanExporter):
    """A span exporter that keeps its batch until `collector` has it, and counts in `counted`."""

    def __init__(self, inner: SpanExporter, collector: Collector, counted: Records) -> None:
        self._inner = inner
        self._collector = collector
        self._counted = counted

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver `spans`; FAILURE only if they are refused for good or the process ends."""
        success = SpanExportResult.SUCCESS
        taken = deliver(
            self._collector,
            self._counted,
            "traces",
            len(spans),
            lambda: self._inner.export(spans) is success,
        )
        return success if taken else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Close the connection to the collector."""
        self._inner.shutdown()


class PatientLogExporter(LogRecordExporter):
    """A log exporter that keeps its batch until `collector` has it, and counts in `counted`."""

    def __init__(self, inner: LogRecordExporter, collector: Collector, counted: Records) -> None:
        self._inner = inner
        self._collector = collector
        self._counted = counted

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Deliver `batch`; FAILURE only if it is refused for good or the process ends."""
        success = LogRecordExportResult.SUCCESS
        taken = deliver(
            self._collector,
            self._counted,
            "logs",
            len(batch),
            lambda: self._inner.export(batch) is success,
        )
        return success if taken else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        """Close the connection to the collector."""
        self._inner.shutdown()  # type: ignore[no-untyped-call] # the SDK's own lack

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        """Nothing is held here between exports."""
        return self._inner.force_flush(timeout_millis)


class Started(SpanProcessor, LogRecordProcessor):
    """Counts the sampled spans that end, and the log records."""

    def __init__(self, counted: Records) -> None:
        self._counted = counted["started"]
        self._lock = threading.Lock()

    def on_end(self, span: ReadableSpan) -> None:
        """Count a span."""
        if span.context.trace_flags.sampled:
            with self._lock:
                self._counted["traces"] += 1

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Count a log record."""
        del log_record
        with self._lock:
            self._counted["logs"] += 1

    def shutdown(self) -> None:
        """Nothing is held here."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held here."""
        del timeout_millis
        return True


def run_with_deadline(actions: Sequence[Callable[[], object]], seconds: float) -> bool:
    """Run `actions` at the same time in threads; return whether all ended within `seconds`."""
    threads = [threading.Thread(target=action, daemon=True) for action in actions]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)
