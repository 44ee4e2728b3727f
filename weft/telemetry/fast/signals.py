"""What becomes of a finished call: points, a span's bytes, a log record's bytes."""

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.trace import get_current_span

from weft.telemetry import conventions, log, wire
from weft.telemetry.console import Line
from weft.telemetry.context import SPAN_KEY
from weft.telemetry.engine import Ended, Facts, Said
from weft.telemetry.fast import encode
from weft.telemetry.fast.outbox import Outgoing
from weft.telemetry.fast.span import SAMPLED, FastSpan
from weft.telemetry.instruments import Instrument
from weft.telemetry.labels import LOG_ATTRIBUTE, SPAN_ATTRIBUTE, Labels
from weft.telemetry.sdk import SEVERITIES, log_record


class Signals:
    """A Sink. Only one thread at a time may use it, but for `log`.

    What is not simple about a log record takes the SDK's way, through `loggers`.
    """

    def __init__(self, outgoing: Outgoing, loggers: LoggerProvider) -> None:
        self._outgoing = outgoing
        self._spans = outgoing.scope("traces", "weft").items
        self._loggers = loggers
        limits = loggers._log_record_limits  # noqa: SLF001 - no accessor
        most = limits.max_log_record_attributes
        self._most = 0 if limits.max_log_record_attribute_length is not None else most or 0
        self._lines: list[Line] = []
        self._records: dict[str, list[bytes]] = {}
        """What is on its way out, by logger."""

    def measure(self, instrument: Instrument, value: float, labels: Labels, call: Ended) -> None:
        """Add to the series of `labels`; a sampled span becomes its exemplar."""
        span = call.span
        series = labels.series.get(instrument) or instrument.of(labels)
        if type(span) is FastSpan:
            series.record(value, span.end_ns, span if span.flags & SAMPLED else None)
        else:
            context = span.get_span_context()
            sampled = context.is_valid and context.trace_flags & SAMPLED
            series.record(value, call.at, context if sampled else None)

    def tell(
        self,
        call: Ended,
        name: str | None,
        labels: Labels,
        failure: str | None,
        error: BaseException | None,
        said: Said | None = None,
    ) -> None:
        """Encode the span and the line."""
        facts = call.facts
        told: list[bytes] | None
        try:
            told = [wire.pair(k, v) for k, v in facts.items() if v is not None]
        except (TypeError, ValueError):
            told = None
        span = call.span
        if type(span) is FastSpan and not span.early:
            if name is not None:
                span.name = name
            if failure is not None or error is not None:
                span.fail(failure, error)
                if failure is not None and "error.type" not in labels.attributes:
                    labels = conventions.failed(labels, failure)
            self.span(span, labels, facts, told)
        if said is not None and log.is_enabled(said.level):
            self._line(call, labels, facts, told, error, said)

    def span(self, span: FastSpan, labels: Labels, facts: Facts, told: list[bytes] | None) -> None:
        """Encode a span with the attributes of `labels` and `facts` besides its own.

        `told` are the facts, encoded; None if they are not simple.
        """
        if not span.flags & SAMPLED:
            return
        attributes, dropped = _attributes(span, labels, facts, told)
        if dropped or span.has_more:
            rest = encode.rest_of(span, dropped=dropped)
        else:
            rest = encode.NO_STATUS if span.status is None else encode.FAILED
            if span.linked is not None:
                rest += encode.only_link(span.linked)
        self._spans.append(
            encode.span(
                trace_id=span.trace_id,
                span_id=span.span_id,
                parent_id=span.parent_id,
                remote=span.remote,
                state=span.state,
                name=span.name,
                kind=span.kind,
                start_ns=span.start_ns,
                end_ns=span.end_ns,
                attributes=attributes,
                rest=rest,
            )
        )

    def _line(
        self,
        call: Ended,
        labels: Labels,
        facts: Facts,
        told: list[bytes] | None,
        error: BaseException | None,
        said: Said,
    ) -> None:
        simple = (
            told is not None
            and error is None
            and len(labels.attributes) + len(facts) < self._most
            and labels.names.isdisjoint(facts)
        )
        if not simple or log.console().is_on:
            known = {key: value for key, value in facts.items() if value is not None}
            full = {**labels.attributes, **known, "duration": call.seconds}
        if told is None or not simple:
            self.log(*said, full, error, call.context)
            return
        told.append(wire.pair("duration", call.seconds))
        attributes = labels.in_log + wire.repeated(LOG_ATTRIBUTE, told)
        context = _identity(call.span, call.context)
        self._write(said, call.at, attributes, context)
        if log.console().is_on:
            self._lines.append(Line(call.at, *said, full, None, context[0]))

    def show(self) -> None:
        """Write the lines of calls to the console, all at once."""
        lines, self._lines = self._lines, []
        log.console().write(*lines)

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
        """Write one log record, and show it."""
        now = time.time_ns()
        context = _identity(ctx.get(SPAN_KEY), ctx)
        try:
            simple = exc is None and event is None and len(facts) <= self._most
            told = wire.repeated(LOG_ATTRIBUTE, [wire.pair(*each) for each in facts.items()])
        except (TypeError, ValueError):
            simple = False
        if simple:
            self._write(Said(level, name, message), now, told, context)
        else:
            record = log_record(now, level, message, facts, exc, ctx, event)
            self._loggers.get_logger(name).emit(record)
        log.console().write(Line(now, level, name, message, facts, exc, context[0]))

    def _write(
        self, said: Said, now: int, attributes: bytes, context: tuple[int, int, int]
    ) -> None:
        trace_id, span_id, flags = context
        records = self._records.get(said.logger)
        if records is None:
            records = self._records[said.logger] = self._outgoing.scope("logs", said.logger).items
        records.append(
            encode.log_record(
                time_ns=now,
                observed_ns=now,
                head=_head(said.level, said.message),
                attributes=attributes,
                trace_id=trace_id,
                span_id=span_id,
                flags=flags,
            )
        )


@lru_cache(maxsize=1024)
def _head(level: str, message: str) -> bytes:
    return encode.log_head(SEVERITIES[level].value, level, message)


def _identity(span: Any, ctx: Context) -> tuple[int, int, int]:
    """Return trace id, span id and flags of a record in `ctx`, whose span is `span`."""
    if type(span) is FastSpan:
        return span.trace_id, span.span_id, span.flags
    context = get_current_span(ctx).get_span_context()
    return context.trace_id, context.span_id, context.trace_flags


def _attributes(
    span: FastSpan, labels: Labels, facts: Facts, told: list[bytes] | None
) -> tuple[bytes, int]:
    """Return all attributes of a span, and how many the limits cost."""
    varying = span.varying
    if span.bounded is None and told is not None:
        both = labels if span.labels is labels else conventions.union(span.labels, labels)
        known = both.names
        if known.isdisjoint(facts) and len(known) + len(facts) + len(varying or ()) <= span.most:
            if not varying:
                return both.in_span + wire.repeated(SPAN_ATTRIBUTE, told), 0
            if known.isdisjoint(varying) and varying.keys().isdisjoint(facts):
                pairs = [*wire.pairs(varying), *told]
                return both.in_span + wire.repeated(SPAN_ATTRIBUTE, pairs), 0
    bounded = span.bound()
    bounded.update(labels.attributes)
    bounded.update({key: value for key, value in facts.items() if value is not None})
    return wire.repeated(SPAN_ATTRIBUTE, wire.pairs(bounded)), bounded.dropped
