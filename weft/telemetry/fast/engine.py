"""The fast engine: a finished call is an object in a list; batches of them become signals."""

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from random import getrandbits
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics.export import Metric
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
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
_NOTHING = (0, 0, 0, None, False)
_set = dict.__setitem__


class FastEngine:
    """An Engine. `tracers` gives sampler, ids and limits."""

    def __init__(self, tracers: TracerProvider, signals: Signals) -> None:
        ids = tracers.id_generator
        plain = type(ids) is RandomIdGenerator  # two calls less for each
        self._trace_id = _random_trace_id if plain else ids.generate_trace_id
        self._span_id = _random_span_id if plain else ids.generate_span_id
        self._root_flags = _RANDOM if ids.is_trace_id_random() else 0
        self._sampler = tracers.sampler
        self._always = (
            isinstance(self._sampler, EdgeSampler) and self._sampler.configured is DEFAULT_ON
        )
        self._signals = signals
        self._frame = Frame(tracers._span_limits, self._ended_early)  # noqa: SLF001 - no accessor
        self._calls: deque[Ended] = deque()
        self._lock = threading.RLock()  # a collected generator may end a call in the middle of it

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
        """Begin a FastSpan, or one that records nothing if the sampler says so."""
        if parent is None:
            parent = otel_context.get_current()
        above = parent.get(SPAN_KEY)
        trace_id, parent_id, flags, state, remote = _NOTHING if above is None else _known(above)
        if not parent_id:
            trace_id, flags = self._trace_id(), self._root_flags
        span_id = self._span_id()
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
            if since is not None:
                fast.start_ns = since
        else:
            own = SpanContext(
                trace_id, span_id, is_remote=False, trace_flags=TraceFlags(flags), trace_state=state
            )
            span = trace.NonRecordingSpan(own)
        ctx = Context(parent)
        _set(ctx, SPAN_KEY, span)
        return span, ctx

    def finish(self, call: Ended, error: BaseException | None) -> None:
        """Put the call with the others; one that failed is looked at now."""
        span = call.span
        if type(span) is FastSpan and not span.end_ns:
            span.end_ns = span.start_ns + int(call.seconds * 1e9)
        if error is not None:
            with self._lock:
                try:
                    call.report(self._signals, error)
                except Exception:  # noqa: BLE001 - one call's fault is no other's
                    _log.exception("a call could not be reported")
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
        calls, signals = self._calls, self._signals
        for _ in range(len(calls)):
            try:
                call = calls.popleft()
            except IndexError:
                break
            try:
                call.report(signals, None)
            except Exception:  # noqa: BLE001 - one call's fault is no other's
                _log.exception("a call could not be reported")
        signals.show()

    def _ended_early(self, span: FastSpan) -> None:
        with self._lock:
            self._signals.span(span, NONE, {}, [])
            self._signals.show()


def _random_trace_id() -> int:
    return getrandbits(128) or 1


def _random_span_id() -> int:
    return getrandbits(64) or 1


def _known(span: object) -> tuple[int, int, int, TraceState | None, bool]:
    """Return trace id, span id, flags and state of `span`, and whether it is remote."""
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
    return _NOTHING
