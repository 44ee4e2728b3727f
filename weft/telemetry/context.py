"""Trace context in and out of carriers (W3C, or what OTEL_PROPAGATORS names)."""

from collections.abc import Mapping
from contextvars import Token

from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

EDGE = context.create_key("weft.edge")
"""Set in the context of a request from outside: the sampler decides as if it were a root."""

TRACESTATE_ENTRIES = 8
"""How much of an outside caller's tracestate is carried on."""

Carrier = Mapping[str, str]


def current_carrier() -> dict[str, str]:
    """Return traceparent, tracestate and baggage of the current context; {} outside any trace."""
    return carrier_of(context.get_current())


def carrier_of(ctx: Context) -> dict[str, str]:
    """Return the headers that carry `ctx` on."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier, ctx)
    return carrier


def extract(carrier: Carrier) -> Context:
    """Return a context that continues `carrier`, with nothing of the current one in it."""
    return propagate.extract(carrier, Context())


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


def attach(carrier: Carrier) -> Token[Context]:
    """Make `carrier` the current context, so that what follows continues its trace."""
    return context.attach(extract(carrier))


def detach(token: Token[Context]) -> None:
    """Undo `attach`."""
    context.detach(token)
