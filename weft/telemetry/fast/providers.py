"""Providers of the SDK whose spans and records, those of libraries, are encoded by us.

A processor that a program adds to them would not see the chassis' own calls: it selects the SDK's
engine for these, from then on.
"""

from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from weft.telemetry import wire
from weft.telemetry.fast import encode
from weft.telemetry.fast.outbox import Outgoing
from weft.telemetry.fast.span import SAMPLED
from weft.telemetry.labels import LOG_ATTRIBUTE, SPAN_ATTRIBUTE

Added = Callable[[str], None]


class Tracers(TracerProvider):
    """Calls `added` before it takes a span processor that is not ours."""

    def __init__(self, outgoing: Outgoing, added: Added, **options: Any) -> None:
        super().__init__(shutdown_on_exit=False, **options)
        self._added = added
        super().add_span_processor(_Spans(outgoing))

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Register a processor; it sees all spans that begin from now on."""
        super().add_span_processor(span_processor)
        self._added("a span processor")


class Loggers(LoggerProvider):
    """Calls `added` before it takes a log record processor that is not ours."""

    def __init__(self, outgoing: Outgoing, added: Added, **options: Any) -> None:
        super().__init__(shutdown_on_exit=False, **options)
        self._added = added
        super().add_log_record_processor(_Records(outgoing))

    def add_log_record_processor(self, log_record_processor: LogRecordProcessor) -> None:
        """Register a processor; it sees all records from now on."""
        super().add_log_record_processor(log_record_processor)
        self._added("a log record processor")


class _Spans(SpanProcessor):
    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is to be done yet."""

    def on_end(self, span: ReadableSpan) -> None:
        context, scope = span.context, span.instrumentation_scope
        if context is None or scope is None or not context.trace_flags & SAMPLED:
            return
        start, end = span.start_time or 0, span.end_time or 0
        self._outgoing.scope(
            "traces", scope.name, scope.version or "", scope.schema_url or "", scope.attributes
        ).put(
            encode.span(
                context.trace_id,
                context.span_id,
                span.parent.span_id if span.parent else 0,
                span.parent is not None and span.parent.is_remote,
                context.trace_state,
                start,
                end,
                encode.named(span.name, id(span.kind)),
                wire.repeated(SPAN_ATTRIBUTE, wire.pairs(span.attributes or {})),
                encode.rest_of(span, dropped=span.dropped_attributes),
            )
        )


class _Records(LogRecordProcessor):
    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        record, scope = log_record.log_record, log_record.instrumentation_scope
        if scope is None:
            return
        severity = record.severity_number.value if record.severity_number else 0
        self._outgoing.scope(
            "logs", scope.name, scope.version or "", scope.schema_url or "", scope.attributes
        ).put(
            encode.log_record(
                record.timestamp or 0,
                record.observed_timestamp or 0,
                record.trace_id or 0,
                record.span_id or 0,
                int(record.trace_flags or 0),
                encode.log_head(severity, record.severity_text or "", record.body),
                wire.repeated(LOG_ATTRIBUTE, wire.pairs(record.attributes or {})),
                encode.log_tail(log_record.dropped_attributes, record.event_name),
            )
        )

    def shutdown(self) -> None:
        """Nothing is held here."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held here."""
        del timeout_millis
        return True
