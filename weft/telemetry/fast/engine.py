"""The fast engine: a finished call is an object in a list; batches of them become signals."""

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics.export import Metric
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, TraceFlags, TraceState

from weft.telemetry.context import EDGE, SPAN_KEY
from weft.telemetry.engine import Ended, Facts
from weft.telemetry.fast.points import points
from weft.telemetry.fast.signals import Signals
from weft.telemetry.fast.span import SAMPLED, FastSpan, Frame
from weft.telemetry.instruments import Instrument
from weft.telemetry.labels import NONE, Labels
from weft.telemetry.sampling import EdgeSampler

_log = logging.getLogger(__name__)

BATCH = 64
"""Calls that wait until they are looked at together: some hundred microseconds of work."""

_RANDOM = TraceFlags.RANDOM_TRACE_ID


class FastEngine:
    """An Engine. `tracers` gives sampler, ids and limits."""

    def __init__(self, tracers: TracerProvider, signals: Signals) -> None:
        self._ids = tracers.id_generator
        self._sampler = tracers.sampler
        self._always = (
            isinstance(self._sampler, EdgeSampler) and self._sampler.configured is DEFAULT_ON
        )
        self._root_flags = _RANDOM if self._ids.is_trace_id_random() else 0
        self._signals = signals
        self._frame = Frame(tracers._span_limits, self._ended_early)  # noqa: SLF001 - no accessor
        self._calls: list[Ended] = []
        self._lock = threading.RLock()  # a collected generator may end a call in the middle of it

    def begin(
        self,
        name: str,
        kind: SpanKind,
        labels: Labels,
        varying: Facts | None,
        parent: Context | None = None,
        links: Sequence[Link] | None = None,
    ) -> tuple[Span, Context]:
        """Begin a FastSpan, or one that records nothing if the sampler says so."""
        if parent is None:
            parent = otel_context.get_current()
        trace_id, parent_id, flags, state, remote = _above(parent)
        if not parent_id:
            trace_id, flags = self._ids.generate_trace_id(), self._root_flags
        span_id = self._ids.generate_span_id()
        recording = sampled = not parent_id or bool(flags & SAMPLED) or EDGE in parent
        if not self._always:
            given = {**labels.attributes, **(varying or {})}
            decided = self._sampler.should_sample(parent, trace_id, name, kind, given, links or ())
            recording = decided.decision is not Decision.DROP
            sampled = decided.decision is Decision.RECORD_AND_SAMPLE
            labels, varying, state = NONE, dict(decided.attributes or {}), decided.trace_state
        flags = (flags & _RANDOM) | (SAMPLED if sampled else 0)
        span: Span
        if recording:
            span = fast = FastSpan(
                self._frame,
                name,
                kind,
                labels,
                varying,
                trace_id,
                span_id,
                parent_id,
                flags,
                state,
                remote=remote,
            )
            if links:
                fast.link(links)
        else:
            own = SpanContext(
                trace_id, span_id, is_remote=False, trace_flags=TraceFlags(flags), trace_state=state
            )
            span = trace.NonRecordingSpan(own)
        return span, Context({**parent, SPAN_KEY: span})

    def finish(self, call: Ended, error: BaseException | None) -> None:
        """Put the call with the others; one that failed is looked at now."""
        span = call.span
        if type(span) is FastSpan and not span.end_ns:
            span.end_ns = span.start_ns + int(call.seconds * 1e9)
        if error is not None:
            with self._lock:
                self._report(call, error)
                self._signals.show()
            return
        calls = self._calls
        calls.append(call)
        if len(calls) >= BATCH and self._lock.acquire(blocking=False):
            try:
                self._work()
            finally:
                self._lock.release()

    def drain(self) -> None:
        """Make the signals of all calls that are finished by now."""
        with self._lock:
            self._work()

    def points(self) -> list[Metric]:
        """Return the points of all that is finished by now."""
        with self._lock:
            self._work()
            return points()

    def witness(self, instrument: Instrument, value: float, labels: Labels, call: Ended) -> None:
        """Record a measurement of a call whose span is the SDK's."""
        with self._lock:
            self._signals.measure(instrument, value, labels, call)

    def begin_count(self, counter: Instrument, labels: Labels) -> None:
        """Make the series."""
        counter.of(labels)

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
        """Write one log record."""
        self._signals.log(level, name, message, facts, exc, ctx, event)

    def _work(self) -> None:
        calls = self._calls[:]
        del self._calls[: len(calls)]
        for call in calls:
            self._report(call, None)
        self._signals.show()

    def _report(self, call: Ended, error: BaseException | None) -> None:
        try:
            call.report(self._signals, error)
        except Exception:  # noqa: BLE001 - one call's fault is no other's
            _log.exception("a call could not be reported")

    def _ended_early(self, span: FastSpan) -> None:
        with self._lock:
            self._signals.span(span, NONE, {}, [])


def _above(ctx: Context) -> tuple[int, int, int, TraceState | None, bool]:
    """Return trace id, span id, flags and state of the span in `ctx`, and whether it is remote."""
    span = ctx.get(SPAN_KEY)
    if type(span) is FastSpan:
        return span.trace_id, span.span_id, span.flags, span.state, False
    if isinstance(span, Span):
        context = span.get_span_context()
        if context.is_valid:
            return (
                context.trace_id,
                context.span_id,
                context.trace_flags,
                context.trace_state,
                context.is_remote,
            )
    return 0, 0, 0, None, False
