"""The one seam of instrumentation: a call site says what it does, an engine makes signals of it.

Each function begins a call and returns it; the call ends as a context manager or by `end`. What
comes of it: a span, points of the convention's histograms and counters with exemplars, and for a
served request and a processed message the canonical log line. Conventions: OpenTelemetry semantic
conventions, stable for HTTP and databases, current for messaging.
"""

from collections.abc import Mapping

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind

from weft.telemetry import conventions, instruments, log
from weft.telemetry.calls import (
    ClientCall,
    InternalCall,
    MessagingCall,
    ProcessCall,
    ServerCall,
    Settling,
    SqlCall,
)
from weft.telemetry.context import Carrier, extract, extract_from_outside, is_traced
from weft.telemetry.engine import Engine, Facts
from weft.telemetry.labels import NONE
from weft.telemetry.sdk import SdkEngine

_engine: Engine


def use(engine: Engine) -> None:
    """Let `engine` make the signals of all calls that begin from now on, and log records."""
    global _engine  # noqa: PLW0603 - one process, one engine
    _engine = engine
    log.use(engine)


use(SdkEngine())


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
    engine = _engine
    parent = extract(headers) if trusted else extract_from_outside(headers)
    if traced:
        origin: Facts = {}
        if client:
            origin["client.address"] = client
        if agent := headers.get("user-agent"):
            origin["user_agent.original"] = agent[:256]
        labels = conventions.server_start(method, scheme, port)
        span, ctx = engine.begin(method, SpanKind.SERVER, labels, origin, parent)
    else:
        span, ctx = trace.INVALID_SPAN, Context(parent)
    return ServerCall(engine, span, ctx, method, path, scheme, traced=traced)


def http_client(
    method: str, template: str, *, host: str, port: int, url: str = "", attempt: int = 0
) -> ClientCall:
    """Begin one try of a request to another service; its context is the current one until the end.

    `template` is the path with its parameters named (/v1/orders/{order_id}); `attempt` is from 0.
    """
    engine = _engine
    varying: Facts = {}
    if url:
        varying["url.full"] = url
    if attempt:
        varying["http.request.resend_count"] = attempt
    labels = conventions.client_start(method, template, host, port)
    name = f"{method} {template}" if template else method
    span, ctx = engine.begin(name, SpanKind.CLIENT, labels, varying)
    return ClientCall(engine, span, ctx, method, host, port)


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
    engine = _engine
    destination = f"{exchange}:{routing_key}" if exchange else routing_key
    labels = conventions.message_start("send", destination, routing_key, message_type)
    varying: Facts = {
        "messaging.message.id": message_id,
        "messaging.message.conversation_id": conversation,
        "messaging.message.body.size": body_bytes,
    }
    above = None if parent is None else extract(parent)
    links = None
    if linked and above is not None:
        first = trace.get_current_span(above).get_span_context()
        links = [Link(first)] if first.is_valid else None
    name = f"send {destination}"
    span, ctx = engine.begin(name, SpanKind.PRODUCER, labels, varying, above, links)
    return MessagingCall(engine, span, ctx, "send", destination)


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
    engine = _engine
    parent = extract(carrier)
    created = trace.get_current_span(parent).get_span_context()
    labels = conventions.message_start("process", queue, routing_key)
    varying: Facts = {"messaging.message.body.size": body_bytes}
    links = [Link(created)] if created.is_valid else None
    name = f"process {queue}"
    span, ctx = engine.begin(name, SpanKind.CONSUMER, labels, varying, parent, links)
    call = ProcessCall(engine, span, ctx, queue)
    call.facts = {
        "messaging.message.id": message_id,
        "messaging.message.conversation_id": conversation,
        "weft.message.type": message_type,
        "weft.message.attempt": attempt,
    }
    return call


def nothing_consumed(queue: str, outcome: str) -> None:
    """Begin the count of messages of `queue` that end with `outcome`, at 0."""
    _engine.begin_count(instruments.consumer_messages, conventions.consumed(queue, outcome))


def settle(*, queue: str, message_id: str, operation: str, parent: ProcessCall) -> Settling:
    """Begin to settle a processed message: `operation` is ack, nack or reject."""
    return Settling(_engine, parent.context, operation, queue, message_id)


def sql(statement: str, *, namespace: str, host: str, port: int) -> SqlCall:
    """Begin a statement. Its span is a child of the current one; outside any trace, none."""
    engine = _engine
    labels = conventions.sql(statement, namespace, host, port)
    current = otel_context.get_current()
    if not is_traced(current):
        return SqlCall(engine, trace.INVALID_SPAN, current, labels)
    start = conventions.sql_start(statement, namespace, host, port)
    name = labels.attributes["db.query.summary"]
    span, ctx = engine.begin(name, SpanKind.CLIENT, start, None, current)
    return SqlCall(engine, span, ctx, labels)


def internal(name: str, *, function: str = "", attach: bool = True) -> InternalCall:
    """Begin a piece of the program's own work: a span, and no metric.

    `function` is its full name. Its context is the current one until the end; without `attach`,
    only where the call's `current()` makes it so.
    """
    engine = _engine
    labels = conventions.code(function) if function else NONE
    span, ctx = engine.begin(name, SpanKind.INTERNAL, labels, None)
    return InternalCall(engine, span, ctx, labels, attach=attach)


def websocket(route: str, *, message_type: str, body_bytes: int, parent: Carrier) -> InternalCall:
    """Begin to send a message by a WebSocket: a span of its own, child of what caused the message.

    Where that was not traced, neither is this. Put the call's `carrier` into the message.
    """
    engine = _engine
    above = extract(parent)
    labels = conventions.websocket(route, message_type)
    if not is_traced(above):
        return InternalCall(engine, trace.INVALID_SPAN, above, labels, attach=False)
    varying: Facts = {"messaging.message.body.size": body_bytes}
    name = f"send {route}"
    span, ctx = engine.begin(name, SpanKind.PRODUCER, labels, varying, above)
    return InternalCall(engine, span, ctx, labels, attach=False)
