"""Trace context in and out of carriers (W3C, or what OTEL_PROPAGATORS names)."""

import os
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from functools import lru_cache

from opentelemetry import context, propagate, trace
from opentelemetry.baggage import _BAGGAGE_KEY
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    Span,
    SpanContext,
    TraceFlags,
    TraceState,
)
from opentelemetry.trace.propagation import _SPAN_KEY

_BAGGAGE: str = _BAGGAGE_KEY
SPAN_KEY: str = _SPAN_KEY
"""Where the current span is in a context: one lookup instead of three calls."""

EDGE = context.create_key("weft.edge")
"""Set in the context of a request from outside: the sampler decides as if it were a root."""

OWNER = context.create_key("weft.call")
"""Holds the call whose canonical log line takes the facts of what is below it."""

TRACESTATE_ENTRIES = 8
"""How much of an outside caller's tracestate is carried on."""

Carrier = Mapping[str, str]


def current_carrier() -> dict[str, str]:
    """Return traceparent, tracestate and baggage of the current context; {} outside any trace."""
    return carrier_of(context.get_current())


def carrier_of(ctx: Context) -> dict[str, str]:
    """Return the headers that carry `ctx` on."""
    if _BAGGAGE not in ctx and propagate.get_global_textmap() is _w3c:
        span = ctx.get(SPAN_KEY)
        if ready := getattr(span, "traceparent", ""):  # a span of ours
            return {"traceparent": ready}
        known = span.get_span_context() if isinstance(span, Span) else INVALID_SPAN_CONTEXT
        if not known.is_valid:
            return {}
        if not known.trace_state:
            ids = f"{known.trace_id:032x}-{known.span_id:016x}"
            return {"traceparent": f"00-{ids}-{known.trace_flags:02x}"}
    carrier: dict[str, str] = {}
    propagate.inject(carrier, ctx)
    return carrier


def extract(carrier: Carrier) -> Context:
    """Return a context that continues `carrier`, with nothing of the current one in it.

    It may be another caller's as well: contexts do not change.
    """
    if propagate.get_global_textmap() is _w3c:
        text = carrier.get("traceparent")
        if "baggage" in carrier or (text is not None and "tracestate" in carrier):
            return propagate.extract(carrier, Context())
        if text is None:
            return _EMPTY
        plain = _PLAIN.fullmatch(text)
        if plain is None:
            return propagate.extract(carrier, Context())
        trace_id, span_id = int(plain[1], 16), int(plain[2], 16)
        if not trace_id or not span_id:
            return Context()
        parent = SpanContext(trace_id, span_id, is_remote=True, trace_flags=_flags(plain[3]))
        return Context({SPAN_KEY: NonRecordingSpan(parent)})
    return propagate.extract(carrier, Context())


def is_traced(ctx: Context) -> bool:
    """Tell whether `ctx` belongs to a trace."""
    span = ctx.get(SPAN_KEY)
    return isinstance(span, Span) and span.get_span_context().is_valid


# What the library makes of the default OTEL_PROPAGATORS; a plain traceparent needs none of it.
_w3c = (
    propagate.get_global_textmap()
    if os.environ.get("OTEL_PROPAGATORS", "tracecontext,baggage") == "tracecontext,baggage"
    else None
)
_EMPTY = Context()
_PLAIN = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@lru_cache
def _flags(digits: str) -> TraceFlags:
    return TraceFlags(int(digits, 16))


def extract_from_outside(carrier: Carrier) -> Context:
    """Continue an outside caller's trace id: no baggage, own sampling, little tracestate."""
    ctx = Context({EDGE: True})
    outside = trace.get_current_span(extract(carrier)).get_span_context()
    if not outside.is_valid:
        return ctx
    state = TraceState(list(outside.trace_state.items())[:TRACESTATE_ENTRIES])
    parent = SpanContext(
        outside.trace_id,
        outside.span_id,
        is_remote=True,
        trace_flags=TraceFlags(1),
        trace_state=state,
    )
    return trace.set_span_in_context(NonRecordingSpan(parent), ctx)


def enter(ctx: Context) -> Token[Context]:
    """Make `ctx` the current context."""
    return context.attach(ctx) if _current is None else _current.set(ctx)


def leave(token: Token[Context]) -> None:
    """Undo `enter`; where that was in another context, say so and go on."""
    try:
        if _current is not None:
            _current.reset(token)
            return
    except (ValueError, RuntimeError):  # the library has words for it
        pass
    context.detach(token)


# Where the library keeps the current context unless OTEL_PYTHON_CONTEXT names another way.
_runtime = context._RUNTIME_CONTEXT  # noqa: SLF001 - its attach and detach are two calls each
_current: ContextVar[Context] | None = (
    _runtime._current_context  # noqa: SLF001
    if type(_runtime) is ContextVarsRuntimeContext
    else None
)


def attach(carrier: Carrier) -> Token[Context]:
    """Make `carrier` the current context, so that what follows continues its trace."""
    return context.attach(extract(carrier))


def detach(token: Token[Context]) -> None:
    """Undo `attach`."""
    context.detach(token)


@contextmanager
def untraced() -> Iterator[None]:
    """Make what is called within, here and where it is served, leave metrics and no spans.

    For what is asked again and again: its trace has ids, and is not sampled.
    """
    ids = SpanContext(random.getrandbits(128) or 1, random.getrandbits(64) or 1, is_remote=False)
    token = context.attach(Context({SPAN_KEY: NonRecordingSpan(ids)}))
    try:
        yield
    finally:
        context.detach(token)
