"""The engine on the plain OpenTelemetry SDK: whatever providers are set take all three signals."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger_provider
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from weft.telemetry import log
from weft.telemetry.console import Line
from weft.telemetry.engine import Ended, Facts, Said
from weft.telemetry.fingerprint import ATTRIBUTE, fingerprint
from weft.telemetry.instruments import Instrument
from weft.telemetry.labels import Labels

SEVERITIES = {
    "DEBUG": SeverityNumber.DEBUG,
    "INFO": SeverityNumber.INFO,
    "WARNING": SeverityNumber.WARN,
    "ERROR": SeverityNumber.ERROR,
    "CRITICAL": SeverityNumber.FATAL,
}


def log_record(
    now: int,
    level: str,
    message: str,
    facts: Mapping[str, Any],
    exc: BaseException | None,
    ctx: Context,
    event: str | None = None,
) -> LogRecord:
    """Return a record of the time `now` (ns) for the SDK's loggers; `event` is its event name."""
    known = {} if exc is None else {ATTRIBUTE: fingerprint(exc)}
    return LogRecord(
        timestamp=now,
        observed_timestamp=now,
        context=ctx,
        severity_number=SEVERITIES[level],
        severity_text=level,
        body=message,
        attributes={**facts, **known},
        exception=exc,
        event_name=event,
    )


class SdkEngine:
    """An Engine, and a Sink."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("weft")

    def begin(
        self,
        name: str,
        kind: SpanKind,
        labels: Labels,
        varying: Facts | None,
        parent: Context | None = None,
        links: Sequence[Link] | None = None,
        since: int | None = None,
    ) -> tuple[Span, Context]:
        """Begin a span of the tracer `weft`."""
        attributes = {**labels.attributes, **varying} if varying else labels.attributes
        span = self._tracer.start_span(
            name, parent, kind, attributes, links, since, record_exception=False
        )
        return span, trace.set_span_in_context(span, parent)

    def finish(self, call: Ended, error: BaseException | None) -> None:
        """Make the signals now."""
        call.report(self, error)
        call.span.end()

    def begin_count(self, counter: Instrument, labels: Labels) -> None:
        """Add 0."""
        counter.by_sdk(0, labels)

    def measure(self, instrument: Instrument, value: float, labels: Labels, call: Ended) -> None:
        """Record by the SDK's instrument."""
        instrument.by_sdk(value, labels, call.context)

    def tell(
        self,
        call: Ended,
        name: str | None,
        labels: Labels,
        failure: str | None,
        error: BaseException | None,
        said: Said | None = None,
    ) -> None:
        """Put attributes and failure on the span, and write the line."""
        facts = {key: value for key, value in call.facts.items() if value is not None}
        span = call.span
        if span.is_recording():
            if name is not None:
                span.update_name(name)
            if failure is not None:
                facts.setdefault("error.type", failure)
                span.set_status(Status(StatusCode.ERROR))
            span.set_attributes({**labels.attributes, **facts})
            if error is not None:
                span.record_exception(error, {ATTRIBUTE: fingerprint(error)})
        if said is not None and log.is_enabled(said.level):
            facts = {**labels.attributes, **facts, "duration": call.seconds}
            self.log(*said, facts, error, call.context)

    def log(
        self,
        level: str,
        name: str,
        message: str,
        facts: Mapping[str, Any],
        exc: BaseException | None,
        ctx: Context,
        event: str | None = None,
    ) -> None:
        """Write a record by the logger `name`, and to the console."""
        now = time.time_ns()
        get_logger_provider().get_logger(name).emit(
            log_record(now, level, message, facts, exc, ctx, event)
        )
        span = trace.get_current_span(ctx).get_span_context()
        log.console().write(Line(now, level, name, message, facts, exc, span.trace_id))


class Silent(SdkEngine):
    """The engine of OTEL_SDK_DISABLED: no spans, no points; log records reach the console alone."""

    def begin(
        self,
        name: str,
        kind: SpanKind,
        labels: Labels,
        varying: Facts | None,
        parent: Context | None = None,
        links: Sequence[Link] | None = None,
        since: int | None = None,
    ) -> tuple[Span, Context]:
        """Go on in the context that is there, so that a caller's trace id is handed on."""
        del name, kind, labels, varying, links, since
        ctx = otel_context.get_current() if parent is None else parent
        return trace.get_current_span(ctx), Context(ctx)

    def finish(self, call: Ended, error: BaseException | None) -> None:
        """Show the call's line, if a console does."""
        if log.console().is_on:
            call.report(self, error)

    def begin_count(self, counter: Instrument, labels: Labels) -> None:
        """Count nothing."""

    def measure(self, instrument: Instrument, value: float, labels: Labels, call: Ended) -> None:
        """Measure nothing."""
