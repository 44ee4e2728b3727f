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
from opentelemetry.trace import Span, Status, StatusCode

from weft.telemetry import instruments, log
from weft.telemetry.context import carrier_of

_OWNER = otel_context.create_key("weft.call")
_SERVER_ERROR = 500
_CLIENT_ERROR = 400

Facts = dict[str, Any]


def span_name(*parts: str) -> str:
    """Join what is there of a span's name."""
    return " ".join(part for part in parts if part)


class Call(ABC):
    """One thing in progress. `error` at its end is the exception that ended it, if one did."""

    __slots__ = ("_began", "_ctx", "_ended", "_facts", "_span", "_token")

    tells: ClassVar[bool] = False
    """Whether a canonical log line tells of this call."""

    def __init__(self, span: Span, ctx: Context, *, attach: bool) -> None:
        self._span = span
        self._ctx = ctx = otel_context.set_value(_OWNER, self, ctx) if self.tells else ctx
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


def fact(key: str, value: Any) -> None:
    """Add a fact to the request or message in hand: to its span and its canonical log line."""
    call = otel_context.get_value(_OWNER)
    if isinstance(call, Call):
        call.set(key, value)


class ServerCall(Call):
    """A served HTTP request. Set `status`, and `route` once it is known."""

    tells = True
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

    tells = True
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


class InternalCall(Call):
    """Work of the program itself. A cancellation is no failure, nor is an iterator left alone."""

    __slots__ = ()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make this call's context the current one, for work that is done step by step."""
        token = otel_context.attach(self._ctx)
        try:
            yield
        finally:
            otel_context.detach(token)

    def _finish(self, seconds: float, error: BaseException | None) -> None:
        del seconds
        self._mark(error if isinstance(error, Exception) else None)


def _failure_of(status: int, threshold: int, error: BaseException | None) -> str | None:
    """error.type of a request: its status where that says it failed, else its exception's type."""
    if status >= threshold:
        return str(status)
    return type(error).__qualname__ if error is not None and not status else None
