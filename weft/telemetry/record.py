"""The one seam of instrumentation: a call site says what it does, an engine makes signals of it.

Each function begins a call and returns it; the call ends as a context manager or by `end`. What
comes of it: a span, points of the convention's histograms and counters with exemplars, and for a
served request and a processed message the canonical log line. Conventions: OpenTelemetry semantic
conventions, stable for HTTP and databases, current for messaging.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind

from weft.telemetry.calls import (
    ClientCall,
    Facts,
    InternalCall,
    MessagingCall,
    ProcessCall,
    ServerCall,
    SqlCall,
    span_name,
)
from weft.telemetry.context import Carrier, extract, extract_from_outside
from weft.telemetry.statements import summary_of

_tracer = trace.get_tracer("weft")


def http_server(
    method: str,
    path: str,
    *,
    port: int,
    headers: Mapping[str, str],
    scheme: str = "http",
    client: str | None = None,
    traced: bool = True,
    trusted: bool = True,
) -> ServerCall:
    """Begin to serve a request; its context is the current one until the end.

    `headers` may carry a trace; a caller who is not `trusted` gives only its trace id.
    `traced=False`: metrics alone, unless it fails.
    """
    parent = extract(headers) if trusted else extract_from_outside(headers)
    if traced:
        attributes: Facts = {
            "http.request.method": method,
            "url.path": path,
            "url.scheme": scheme,
            "server.port": port,
        }
        if client:
            attributes["client.address"] = client
        if agent := headers.get("user-agent"):
            attributes["user_agent.original"] = agent[:256]
        span, ctx = _begin(method, SpanKind.SERVER, attributes, parent)
    else:
        span, ctx = trace.INVALID_SPAN, parent
    return ServerCall(span, ctx, method, path, scheme, traced=traced)


def http_client(
    method: str, template: str, *, host: str, port: int, url: str = "", attempt: int = 0
) -> ClientCall:
    """Begin one try of a request to another service; its context is the current one until the end.

    `template` is the path with its parameters named (/v1/orders/{order_id}); `attempt` is from 0.
    """
    labels: Facts = {"http.request.method": method, "server.address": host, "server.port": port}
    attributes = {**labels, "url.template": template}
    if url:
        attributes["url.full"] = url
    if attempt:
        attributes["http.request.resend_count"] = attempt
    span, ctx = _begin(span_name(method, template), SpanKind.CLIENT, attributes)
    return ClientCall(span, ctx, labels)


def send(
    *,
    exchange: str,
    routing_key: str,
    message_type: str,
    message_id: str,
    body_bytes: int,
    conversation: str = "",
    parent: Carrier | None = None,
    linked: bool = False,
) -> MessagingCall:
    """Begin to publish a message. `parent` is the carrier stored with it (default: this context).

    Put the call's `carrier` into the message's headers: this span is its creation context. What is
    sent once more has the first sending for its parent, and is `linked` to it.
    """
    destination = _destination(exchange, routing_key)
    labels: Facts = {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": destination,
    }
    attributes = {
        **labels,
        "messaging.rabbitmq.destination.routing_key": routing_key,
        "messaging.message.id": message_id,
        "messaging.message.conversation_id": conversation,
        "messaging.message.body.size": body_bytes,
        "weft.message.type": message_type,
    }
    above = None if parent is None else extract(parent)
    first = trace.get_current_span(above).get_span_context()
    links = [Link(first)] if linked and first.is_valid else None
    span, ctx = _begin(f"send {destination}", SpanKind.PRODUCER, attributes, above, links)
    return MessagingCall(span, ctx, labels, sent=True)


def process(
    *,
    queue: str,
    routing_key: str,
    message_type: str,
    message_id: str,
    body_bytes: int,
    carrier: Carrier,
    conversation: str = "",
    attempt: int = 1,
) -> ProcessCall:
    """Begin to handle a message; its context is the current one until the end.

    The span is a child of the message's creation context and linked to it. `conversation` is its
    correlation id, `attempt` counts from 1.
    """
    parent = extract(carrier)
    created = trace.get_current_span(parent).get_span_context()
    labels: Facts = {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": queue,
    }
    attributes = {
        **labels,
        "messaging.rabbitmq.destination.routing_key": routing_key,
        "messaging.message.id": message_id,
        "messaging.message.conversation_id": conversation,
        "messaging.message.body.size": body_bytes,
        "weft.message.type": message_type,
        "weft.message.attempt": attempt,
    }
    links = [Link(created)] if created.is_valid else None
    span, ctx = _begin(f"process {queue}", SpanKind.CONSUMER, attributes, parent, links)
    call = ProcessCall(span, ctx, labels)
    call.set("messaging.message.id", message_id)
    call.set("messaging.message.conversation_id", conversation)
    call.set("weft.message.type", message_type)
    call.set("weft.message.attempt", attempt)
    return call


def settle(*, queue: str, message_id: str, operation: str, parent: ProcessCall) -> MessagingCall:
    """Begin to settle a processed message: `operation` is ack, nack or reject."""
    labels: Facts = {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": operation,
        "messaging.operation.type": "settle",
        "messaging.destination.name": queue,
    }
    attributes = {**labels, "messaging.message.id": message_id}
    span, ctx = _begin(f"{operation} {queue}", SpanKind.CLIENT, attributes, parent.context)
    return MessagingCall(span, ctx, labels, sent=False)


def sql(statement: str, *, namespace: str, host: str, port: int) -> SqlCall:
    """Begin a statement. Its span is a child of the current one; outside any trace, none."""
    summary = summary_of(statement)
    labels = dict(_sql_labels(summary.text, namespace, host, port))
    current = otel_context.get_current()
    if not trace.get_current_span(current).get_span_context().is_valid:
        return SqlCall(trace.INVALID_SPAN, current, labels)
    attributes = {**labels, "db.query.text": summary.statement}
    if summary.operation:
        attributes["db.operation.name"] = summary.operation
    if summary.collection:
        attributes["db.collection.name"] = summary.collection
    span, ctx = _begin(summary.text, SpanKind.CLIENT, attributes, current)
    return SqlCall(span, ctx, labels)


def internal(name: str, *, attach: bool = True) -> InternalCall:
    """Begin a piece of the program's own work: a span, and no metric.

    Its context is the current one until the end; without `attach`, only where the call's
    `current()` makes it so.
    """
    span, ctx = _begin(name, SpanKind.INTERNAL, {})
    return InternalCall(span, ctx, attach=attach)


@lru_cache(maxsize=1024)
def _sql_labels(summary: str, namespace: str, host: str, port: int) -> tuple[tuple[str, Any], ...]:
    return (
        ("db.system.name", "postgresql"),
        ("db.namespace", namespace),
        ("db.query.summary", summary),
        ("server.address", host),
        ("server.port", port),
    )


def _destination(exchange: str, routing_key: str) -> str:
    return f"{exchange}:{routing_key}" if exchange else routing_key


def _begin(
    name: str,
    kind: SpanKind,
    attributes: Facts,
    parent: Context | None = None,
    links: list[Link] | None = None,
) -> tuple[Span, Context]:
    parent = otel_context.get_current() if parent is None else parent
    span = _tracer.start_span(name, parent, kind, attributes, links, record_exception=False)
    return span, trace.set_span_in_context(span, parent)
