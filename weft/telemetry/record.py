"""The one seam of instrumentation: a call site says what it does, an engine makes signals of it.

Each function begins a call and returns it; the call ends as a context manager or by `end`. What
comes of it: a span, points of the convention's histograms and counters with exemplars, and for a
served request and a processed message the canonical log line. Conventions: OpenTelemetry semantic
conventions, stable for HTTP and databases, current for messaging.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextvars import Token
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from weft.telemetry import instruments, log
from weft.telemetry.context import Carrier, carrier_of, extract, extract_from_outside
from weft.telemetry.statements import summary_of

_tracer = trace.get_tracer("weft")
_SERVER_ERROR = 500
_CLIENT_ERROR = 400

Facts = dict[str, Any]


def span_name(*parts: str) -> str:
    """Join what is there of a span's name."""
    return " ".join(part for part in parts if part)


class Call(ABC):
    """One thing in progress. `error` at its end is the exception that ended it, if one did."""

    __slots__ = ("_began", "_ctx", "_ended", "_facts", "_span", "_token")

    def __init__(self, span: Span, ctx: Context, *, attach: bool) -> None:
        self._span = span
        self._ctx = ctx
        self._facts: Facts = {}
        self._ended = False
        self._token: Token[Context] | None = otel_context.attach(ctx) if attach else None
        self._began = time.perf_counter()

    def set(self, key: str, value: Any) -> None:
        """Add a fact: an attribute of the span, and of the canonical log line if there is one."""
        self._facts[key] = value

    @property
    def trace_id(self) -> str:
        """32 hex digits, also where the trace is not sampled."""
        return f"{self._span.get_span_context().trace_id:032x}"

    @property
    def carrier(self) -> dict[str, str]:
        """The headers that carry this call's context on."""
        return carrier_of(self._ctx)

    def end(self, error: BaseException | None = None) -> None:
        """End the call; further ends count for nothing."""
        if self._ended:
            return
        self._ended = True
        seconds = time.perf_counter() - self._began
        if self._token is not None:
            otel_context.detach(self._token)
        self._finish(seconds, error)
        self._span.end()

    @abstractmethod
    def _finish(self, seconds: float, error: BaseException | None) -> None:
        """Make the signals, with the span still open."""

    def _mark(self, error: BaseException | None, error_type: str | None = None) -> None:
        """Put facts and failure on the span."""
        span = self._span
        if not span.is_recording():
            return
        span.set_attributes({key: value for key, value in self._facts.items() if value is not None})
        kind = error_type or (type(error).__qualname__ if error is not None else None)
        if kind is None:
            return
        span.set_attribute("error.type", kind)
        span.set_status(Status(StatusCode.ERROR))
        if error is not None:
            span.record_exception(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(exc)


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


class ServerCall(Call):
    """A served HTTP request. Set `status`, and `route` once it is known."""

    __slots__ = (
        "_labels",
        "_method",
        "_path",
        "_traced",
        "request_bytes",
        "response_bytes",
        "route",
        "status",
    )

    def __init__(
        self, span: Span, ctx: Context, method: str, path: str, scheme: str, *, traced: bool
    ) -> None:
        super().__init__(span, ctx, attach=True)
        self._method = method
        self._path = path
        self._traced = traced
        self._labels: Facts = {"http.request.method": method, "url.scheme": scheme}
        self.route = ""
        self.status = 0
        self.request_bytes = 0
        self.response_bytes = 0

    def _finish(self, seconds: float, error: BaseException | None) -> None:
        labels = self._labels
        if self.route:
            labels["http.route"] = self.route
        if self.status:
            labels["http.response.status_code"] = self.status
        failure = _failure_of(self.status, _SERVER_ERROR, error)
        if failure:
            labels["error.type"] = failure
        instruments.http_server_duration.record(seconds, labels, context=self._ctx)
        if not self._traced and not failure:
            return
        self._span.update_name(span_name(self._method, self.route))
        self._facts.update(
            labels,
            **{
                "http.request.body.size": self.request_bytes,
                "http.response.body.size": self.response_bytes,
            },
        )
        self._mark(error, failure)
        facts = {"url.path": self._path, "duration": seconds, **self._facts}
        level = "ERROR" if failure else "INFO"
        log.emit(level, "weft.http.server", "request served", facts, exc=error, ctx=self._ctx)


class ClientCall(Call):
    """One try of an HTTP request. Set `status`."""

    __slots__ = ("_labels", "status")

    def __init__(self, span: Span, ctx: Context, labels: Facts) -> None:
        super().__init__(span, ctx, attach=True)
        self._labels = labels
        self.status = 0

    def _finish(self, seconds: float, error: BaseException | None) -> None:
        labels = self._labels
        if self.status:
            labels["http.response.status_code"] = self.status
        failure = _failure_of(self.status, _CLIENT_ERROR, error)
        if failure:
            labels["error.type"] = failure
        instruments.http_client_duration.record(seconds, labels, context=self._ctx)
        self._facts.update(labels)
        self._mark(error, failure)


class MessagingCall(Call):
    """A message sent or settled."""

    __slots__ = ("_labels", "_sent")

    def __init__(self, span: Span, ctx: Context, labels: Facts, *, sent: bool) -> None:
        super().__init__(span, ctx, attach=False)
        self._labels = labels
        self._sent = sent

    def _finish(self, seconds: float, error: BaseException | None) -> None:
        if error is not None:
            self._labels["error.type"] = type(error).__qualname__
        instruments.messaging_operation_duration.record(seconds, self._labels, context=self._ctx)
        if self._sent:
            instruments.messaging_sent.add(1, self._labels, context=self._ctx)
        self._mark(error)


class ProcessCall(Call):
    """A message in a handler's hands. Set `outcome`: processed, duplicate, retried or dead."""

    __slots__ = ("_labels", "outcome")

    def __init__(self, span: Span, ctx: Context, labels: Facts) -> None:
        super().__init__(span, ctx, attach=True)
        self._labels = labels
        self.outcome = ""

    @property
    def context(self) -> Context:
        """What a settlement of this message is a child of."""
        return self._ctx

    def _finish(self, seconds: float, error: BaseException | None) -> None:
        if error is not None:
            self._labels["error.type"] = type(error).__qualname__
        instruments.messaging_process_duration.record(seconds, self._labels, context=self._ctx)
        instruments.messaging_consumed.add(1, self._labels, context=self._ctx)
        if self.outcome:
            self._facts["weft.message.outcome"] = self.outcome
        self._mark(error)
        facts = {**self._labels, "duration": seconds, **self._facts}
        level = "ERROR" if error is not None else "INFO"
        log.emit(
            level, "weft.messaging.consumer", "message processed", facts, exc=error, ctx=self._ctx
        )


class SqlCall(Call):
    """A statement on its way to PostgreSQL and back."""

    __slots__ = ("_labels",)

    def __init__(self, span: Span, ctx: Context, labels: Facts) -> None:
        super().__init__(span, ctx, attach=False)
        self._labels = labels

    def _finish(self, seconds: float, error: BaseException | None) -> None:
        state = getattr(error, "sqlstate", None)
        if error is not None:
            self._labels["error.type"] = state or type(error).__qualname__
        instruments.db_operation_duration.record(seconds, self._labels, context=self._ctx)
        if state:
            self._facts["db.response.status_code"] = state
        self._mark(error, state)


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
    parent: Carrier | None = None,
) -> MessagingCall:
    """Begin to publish a message. `parent` is the carrier stored with it (default: this context).

    Put the call's `carrier` into the message's headers: this span is its creation context.
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
        "messaging.message.body.size": body_bytes,
        "weft.message.type": message_type,
    }
    above = None if parent is None else extract(parent)
    span, ctx = _begin(f"send {destination}", SpanKind.PRODUCER, attributes, above)
    return MessagingCall(span, ctx, labels, sent=True)


def process(
    *,
    queue: str,
    routing_key: str,
    message_type: str,
    message_id: str,
    body_bytes: int,
    carrier: Carrier,
    attempt: int = 1,
) -> ProcessCall:
    """Begin to handle a message; its context is the current one until the end.

    The span is a child of the message's creation context and linked to it. `attempt` counts from 1.
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
        "messaging.message.body.size": body_bytes,
        "weft.message.type": message_type,
        "weft.message.attempt": attempt,
    }
    links = [Link(created)] if created.is_valid else None
    span, ctx = _begin(f"process {queue}", SpanKind.CONSUMER, attributes, parent, links)
    call = ProcessCall(span, ctx, labels)
    call.set("messaging.message.id", message_id)
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


def _failure_of(status: int, threshold: int, error: BaseException | None) -> str | None:
    """error.type of a request: its status where that says it failed, else its exception's type."""
    if status >= threshold:
        return str(status)
    return type(error).__qualname__ if error is not None and not status else None
