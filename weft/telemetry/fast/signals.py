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

_NOTHING: Facts = {}


class Signals:
    """A Sink. Only one thread at a time may use it, but for `log`.

    What is not simple about a log record takes the SDK's way, through `loggers`.
    """

    def __init__(self, outgoing: Outgoing, loggers: LoggerProvider) -> None:
        self._outgoing = outgoing
        self._loggers = loggers
        limits = loggers._log_record_limits  # noqa: SLF001 - no accessor
        most = limits.max_log_record_attributes
        self._most = 0 if limits.max_log_record_attribute_length is not None else most or 0
        self._spans: list[bytes] = []
        self._records: dict[str, list[bytes]] = {}
        """Of calls, by logger; with spans and lines it waits for `show`."""
        self._lines: list[Line] = []

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
        both = labels if span.labels is labels else conventions.union(span.labels, labels)
        varying, known, dropped = span.varying or _NOTHING, both.names, 0
        if (
            told is not None
            and span.bounded is None
            and len(known) + len(facts) + len(varying) <= span.frame.most
            and known.isdisjoint(facts)
            and known.isdisjoint(varying)
            and varying.keys().isdisjoint(facts)
        ):
            repeating = both.in_span
            others = wire.repeated(SPAN_ATTRIBUTE, wire.pairs(varying) + told)
        else:
            bounded = span.bound()
            bounded.update(labels.attributes)
            bounded.update({key: value for key, value in facts.items() if value is not None})
            repeating, dropped = b"", bounded.dropped
            others = wire.repeated(SPAN_ATTRIBUTE, wire.pairs(bounded))
        if dropped or span.more:
            rest = encode.rest_of(span, dropped=dropped)
        else:
            rest = encode.NO_STATUS if span.status is None else encode.FAILED
            if span.linked is not None:
                rest += encode.only_link(span.linked)
        encoded = encode.span(
            span.trace_id,
            span.span_id,
            span.parent_id,
            span.remote,
            span.state,
            span.start_ns,
            span.end_ns,
            encode.named(span.name, id(span.kind)),
            repeating,
            others,
            rest,
        )
        self._spans.append(encoded)

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
        shown = log.console().is_on
        if not simple or shown:
            known = {key: value for key, value in facts.items() if value is not None}
            full = {**labels.attributes, **known, "duration": call.seconds}
        if told is None or not simple:
            self.log(*said, full, error, call.context)
            return
        trace_id, span_id, flags = _identity(call.span, call.context)
        at, logger = call.at, said.logger
        encoded = encode.log_record(
            at,
            at,
            trace_id,
            span_id,
            flags,
            _head(said.level, said.message),
            labels.in_log,
            wire.repeated(LOG_ATTRIBUTE, [*told, wire.pair("duration", call.seconds)]),
        )
        if logger not in self._records:
            self._records.setdefault(logger, [])
        self._records[logger].append(encoded)
        if shown:
            line = Line(at, *said, full, None, trace_id)
            self._lines.append(line)

    def show(self) -> None:
        """Hand on what calls have made: spans and records to their scopes, lines to the console."""
        # A list is replaced by one that is there already, and is looked up only to append what is
        # there already: whatever is made may have garbage collected, which may end calls.
        none: list[bytes] = []
        spans, self._spans = self._spans, none
        if spans:
            self._outgoing.scope("traces", "weft").put(*spans)
        for logger in list(self._records):
            none = []
            records, self._records[logger] = self._records[logger], none
            if records:
                self._outgoing.scope("logs", logger).put(*records)
        no_lines: list[Line] = []
        lines, self._lines = self._lines, no_lines
        if lines:
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
            encoded = encode.log_record(now, now, *context, _head(level, message), told)
            self._outgoing.scope("logs", name).put(encoded)
        else:
            record = log_record(now, level, message, facts, exc, ctx, event)
            self._loggers.get_logger(name).emit(record)
        log.console().write(Line(now, level, name, message, facts, exc, context[0]))


@lru_cache(maxsize=1024)
def _head(level: str, message: str) -> bytes:
    return encode.log_head(SEVERITIES[level].value, level, message)


def _identity(span: Any, ctx: Context) -> tuple[int, int, int]:
    """Return trace id, span id and flags of a record in `ctx`, whose span is `span`."""
    if type(span) is FastSpan:
        return span.trace_id, span.span_id, span.flags
    context = get_current_span(ctx).get_span_context()
    return context.trace_id, context.span_id, context.trace_flags
