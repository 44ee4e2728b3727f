"""Calls in progress, and what each leaves behind when it ends (see `record`)."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Token
from types import TracebackType
from typing import Any, ClassVar, Self

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind

from weft.telemetry import conventions, instruments
from weft.telemetry.context import OWNER, carrier_of, enter, leave
from weft.telemetry.engine import Engine, Facts, Said, Sink
from weft.telemetry.labels import Labels

_SERVER_ERROR = 500
_CLIENT_ERROR = 400
_SERVED = Said("INFO", "weft.http.server", "request served")
_NOT_SERVED = Said("ERROR", "weft.http.server", "request served")
_PROCESSED = Said("INFO", "weft.messaging.consumer", "message processed")
_NOT_PROCESSED = Said("ERROR", "weft.messaging.consumer", "message processed")


class Call(ABC):
    """One thing in progress. `error` at its end is the exception that ended it, if one did."""

    __slots__ = (
        "_engine",
        "_token",
        "at",
        "began",
        "context",
        "ended",
        "facts",
        "seconds",
        "span",
    )

    tells: ClassVar[bool] = False
    """Whether a canonical log line tells of this call."""

    def __init__(self, engine: Engine, span: Span, ctx: Context, *, attach: bool) -> None:
        self._engine = engine
        self.span = span
        if self.tells:
            dict.__setitem__(ctx, OWNER, self)  # it is new, and nobody has it yet
        self.context = ctx
        self.facts: Facts = {}
        self.ended = False
        self._token: Token[Context] | None = enter(ctx) if attach else None
        self.began = time.perf_counter()

    def set(self, key: str, value: Any) -> None:
        """Add a fact: an attribute of the span, and of the canonical log line if there is one."""
        if not self.ended:
            self.facts[key] = value

    @property
    def trace_id(self) -> str:
        """32 hex digits, also where the trace is not sampled."""
        return f"{self.span.get_span_context().trace_id:032x}"

    @property
    def carrier(self) -> dict[str, str]:
        """The headers that carry this call's context on."""
        return carrier_of(self.context)

    def end(self, error: BaseException | None = None) -> None:
        """End the call; further ends count for nothing."""
        if self.ended:
            return
        self.ended = True
        self.seconds = time.perf_counter() - self.began
        self.at = time.time_ns()
        if self._token is not None:
            leave(self._token)
        if self.tells:
            dict.pop(self.context, OWNER)  # else both would wait for the garbage collector
        self._engine.finish(self, error)

    @abstractmethod
    def report(self, sink: Sink, error: BaseException | None) -> None:
        """Tell `sink` what became of the call. Its attributes do not change any more."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(exc)


def fact(key: str, value: Any) -> None:
    """Add a fact to the request or message in hand: to its span and its canonical log line."""
    call = otel_context.get_value(OWNER)
    if isinstance(call, Call):
        call.set(key, value)


class ServerCall(Call):
    """A served HTTP request. Set `status`, and `route` once it is known."""

    tells = True
    __slots__ = (
        "_method",
        "_path",
        "_scheme",
        "_traced",
        "request_bytes",
        "response_bytes",
        "route",
        "status",
    )

    def __init__(
        self,
        engine: Engine,
        span: Span,
        ctx: Context,
        method: str,
        path: str,
        scheme: str,
        *,
        traced: bool,
    ) -> None:
        Call.__init__(self, engine, span, ctx, attach=True)  # super() costs as much as a call
        self._method = method
        self._path = path
        self._scheme = scheme
        self._traced = traced
        self.route = ""
        self.status = 0
        self.request_bytes = 0
        self.response_bytes = 0

    def report(self, sink: Sink, error: BaseException | None) -> None:
        """A point of the duration and, unless it is an untraced success, a span and a line."""
        status, route = self.status, self.route
        failure = _failure_of(status, _SERVER_ERROR, error)
        labels = conventions.http_server(self._method, self._scheme, route, status, failure)
        sink.measure(instruments.http_server_duration, self.seconds, labels, self)
        if not self._traced and not failure:
            return
        facts = self.facts
        facts["url.path"] = self._path
        facts["http.request.body.size"] = self.request_bytes
        facts["http.response.body.size"] = self.response_bytes
        name = f"{self._method} {route}" if route else self._method
        sink.tell(self, name, labels, failure, error, _NOT_SERVED if failure else _SERVED)


class ClientCall(Call):
    """One try of an HTTP request. Set `status`."""

    __slots__ = ("_far", "status")

    def __init__(
        self, engine: Engine, span: Span, ctx: Context, method: str, host: str, port: int
    ) -> None:
        Call.__init__(self, engine, span, ctx, attach=True)
        self._far = (method, host, port)
        self.status = 0

    def report(self, sink: Sink, error: BaseException | None) -> None:
        """A point of the duration, and a span."""
        failure = _failure_of(self.status, _CLIENT_ERROR, error)
        labels = conventions.http_client(*self._far, self.status, failure)
        sink.measure(instruments.http_client_duration, self.seconds, labels, self)
        sink.tell(self, None, labels, failure, error)


class MessagingCall(Call):
    """A message sent or settled."""

    __slots__ = ("_destination", "_operation")

    def __init__(
        self, engine: Engine, span: Span, ctx: Context, operation: str, destination: str
    ) -> None:
        Call.__init__(self, engine, span, ctx, attach=False)
        self._operation = operation
        self._destination = destination

    def report(self, sink: Sink, error: BaseException | None) -> None:
        """A point of the duration, a count of what was sent, and a span."""
        failure = None if error is None else type(error).__qualname__
        labels = conventions.messaging(self._operation, self._destination, failure)
        sink.measure(instruments.messaging_operation_duration, self.seconds, labels, self)
        if self._operation == "send":
            sink.measure(instruments.messaging_sent, 1, labels, self)
        sink.tell(self, None, labels, failure, error)


class ProcessCall(Call):
    """A message in a handler's hands. Set `outcome`: processed, duplicate, retried or dead."""

    tells = True
    __slots__ = ("_queue", "outcome")

    def __init__(self, engine: Engine, span: Span, ctx: Context, queue: str) -> None:
        Call.__init__(self, engine, span, ctx, attach=True)
        self._queue = queue
        self.outcome = ""

    def report(self, sink: Sink, error: BaseException | None) -> None:
        """A point of the duration, a count of what was consumed, a span and a line."""
        failure = None if error is None else type(error).__qualname__
        labels = conventions.messaging("process", self._queue, failure)
        sink.measure(instruments.messaging_process_duration, self.seconds, labels, self)
        sink.measure(instruments.messaging_consumed, 1, labels, self)
        if self.outcome:
            done = conventions.consumed(self._queue, self.outcome)
            sink.measure(instruments.consumer_messages, 1, done, self)
            self.facts["weft.message.outcome"] = self.outcome
        sink.tell(self, None, labels, failure, error, _NOT_PROCESSED if failure else _PROCESSED)


class Settling:
    """A processed message that is being settled: a call that is made at its end.

    So the calls of many that are settled together are made together, in half the time.
    """

    __slots__ = ("_at", "_began", "_engine", "_message_id", "_operation", "_parent", "_queue")

    def __init__(
        self, engine: Engine, parent: Context, operation: str, queue: str, message_id: str
    ) -> None:
        self._engine = engine
        self._parent = parent
        self._operation = operation
        self._queue = queue
        self._message_id = message_id
        self._at = time.time_ns()
        self._began = time.perf_counter()

    def end(self, error: BaseException | None = None) -> None:
        """Make the call and end it. Once."""
        engine, operation, queue = self._engine, self._operation, self._queue
        labels = conventions.messaging(operation, queue)
        varying: Facts = {"messaging.message.id": self._message_id}
        name = f"{operation} {queue}"
        kind, parent = SpanKind.CLIENT, self._parent
        span, ctx = engine.begin(name, kind, labels, varying, parent, since=self._at)
        call = MessagingCall(engine, span, ctx, operation, queue)
        call.began = self._began
        call.end(error)


class SqlCall(Call):
    """A statement on its way to PostgreSQL and back."""

    __slots__ = ("_labels",)

    def __init__(self, engine: Engine, span: Span, ctx: Context, labels: Labels) -> None:
        super().__init__(engine, span, ctx, attach=False)
        self._labels = labels

    def report(self, sink: Sink, error: BaseException | None) -> None:
        """A point of the duration, and a span where there is a trace."""
        labels, failure = self._labels, None
        if error is not None:
            state = getattr(error, "sqlstate", None)
            failure = str(state or type(error).__qualname__)
            labels = conventions.failed(labels, failure)
            if state:
                self.facts["db.response.status_code"] = state
        sink.measure(instruments.db_operation_duration, self.seconds, labels, self)
        sink.tell(self, None, labels, failure, error)


class InternalCall(Call):
    """Work of the program itself. A cancellation is no failure, nor is an iterator left alone."""

    __slots__ = ("_labels",)

    def __init__(
        self, engine: Engine, span: Span, ctx: Context, labels: Labels, *, attach: bool
    ) -> None:
        super().__init__(engine, span, ctx, attach=attach)
        self._labels = labels

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make this call's context the current one, for work that is done step by step."""
        token = otel_context.attach(self.context)
        try:
            yield
        finally:
            otel_context.detach(token)

    def report(self, sink: Sink, error: BaseException | None) -> None:
        """A span."""
        failed = error if isinstance(error, Exception) else None
        failure = None if failed is None else type(failed).__qualname__
        sink.tell(self, None, self._labels, failure, failed)


def _failure_of(status: int, threshold: int, error: BaseException | None) -> str | None:
    """error.type of a request: its status where that says it failed, else its exception's type."""
    if status >= threshold:
        return str(status)
    return type(error).__qualname__ if error is not None else None
