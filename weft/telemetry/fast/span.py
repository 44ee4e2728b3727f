"""A span of the chassis' own calls, with the whole API of OpenTelemetry."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, SpanLimits
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)
from opentelemetry.util.types import Attributes, AttributeValue

from weft.telemetry.engine import Facts
from weft.telemetry.fingerprint import ATTRIBUTE, fingerprint
from weft.telemetry.labels import NONE, Labels

_log = logging.getLogger(__name__)

SAMPLED = TraceFlags.SAMPLED
FAILED = Status(StatusCode.ERROR)
_CALLS_OWN = 32
"""More attributes than any call has by itself."""
_MANY = 2 * _CALLS_OWN
_SCALARS = (str, int, float, bool)
_EMPTY = TraceState()


class Frame:
    """What all spans of a process share. `ended` takes a span that its user has ended."""

    __slots__ = ("ended", "limits", "linkable", "most", "room", "strict")

    def __init__(self, limits: SpanLimits, ended: Callable[["FastSpan"], None]) -> None:
        self.limits = limits
        self.ended = ended
        count = limits.max_span_attributes
        self.most = count or 0
        self.strict = count is None or count < _MANY or limits.max_span_attribute_length is not None
        """Whether limits have to be looked at from the first attribute on."""
        self.room = 0 if self.strict else (count or 0) - _CALLS_OWN
        """Attributes beside those of the labels and of the call that need no look at the limits."""
        self.linkable = limits.max_links is None or limits.max_links > 0


class FastSpan(trace.Span):
    """Open until `end_ns` is set, by its call or by `end`.

    Its attributes are those of `labels` and in `varying`; beyond simple ones, in `bounded` instead,
    which knows the limits.
    """

    __slots__ = (
        "_context",
        "_links",
        "bounded",
        "early",
        "end_ns",
        "events",
        "flags",
        "frame",
        "kind",
        "labels",
        "linked",
        "more",
        "name",
        "parent",
        "parent_id",
        "remote",
        "span_id",
        "start_ns",
        "state",
        "status",
        "trace_id",
        "varying",
    )

    def __init__(
        self,
        frame: Frame,
        name: str,
        kind: SpanKind,
        labels: Labels,
        varying: Facts | None,
        trace_id: int,
        span_id: int,
        parent_id: int,
        flags: int,
        state: TraceState | None,
        *,
        remote: bool,
    ) -> None:
        self.frame = frame
        self.name = name
        self.kind = kind
        self.labels = labels
        self.varying = varying
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.flags = flags
        self.state = state
        self.remote = remote
        self.end_ns = 0
        self.early = False
        self.more = False
        """Whether there is more than attributes, one plain link and a plain status to send."""
        self.bounded: BoundedAttributes | None = None
        self.events: BoundedList[Event] | None = None
        self.linked: SpanContext | None = None
        """The only link, which has no attributes; others are in `links`."""
        self._links: BoundedList[Link] | None = None
        self.status: Status | None = None
        self._context: SpanContext | None = None
        self.start_ns = time.time_ns()
        if frame.strict:
            self.bound()

    def bound(self) -> BoundedAttributes:
        """Return the attributes in a container that cleans them and knows the limits."""
        if self.bounded is None:
            limits = self.frame.limits
            self.bounded = BoundedAttributes(
                limits.max_span_attributes,
                {**self.labels.attributes, **(self.varying or {})},
                immutable=False,
                max_value_len=limits.max_span_attribute_length,
            )
            self.labels, self.varying = NONE, None
        return self.bounded

    @property
    def attributes(self) -> Mapping[str, Any]:
        """All attributes so far."""
        if self.bounded is not None:
            return self.bounded
        return {**self.labels.attributes, **(self.varying or {})}

    def fail(self, failure: str | None, error: BaseException | None) -> None:
        """Record `error` and, if that is a `failure`, mark the span, before it is encoded."""
        final = self.status is not None and self.status.status_code is StatusCode.OK
        if failure is not None and not final:
            self.status = FAILED
        if error is not None:
            end, self.end_ns = self.end_ns, 0
            self.record_exception(error, {ATTRIBUTE: fingerprint(error)})
            self.end_ns = end

    @property
    def dropped_events(self) -> int:
        """How many events the limit has cost."""
        return self.events.dropped if self.events is not None else 0

    @property
    def links(self) -> Sequence[Link]:
        """All links so far."""
        if self.linked is not None:
            return (Link(self.linked),)
        return self._links or ()

    @property
    def dropped_links(self) -> int:
        """How many links the limit has cost."""
        return self._links.dropped if self._links is not None else 0

    def get_span_context(self) -> SpanContext:
        """Return the context, made when it is first asked for."""
        if self._context is None:
            self._context = SpanContext(
                self.trace_id,
                self.span_id,
                is_remote=False,
                trace_flags=TraceFlags(self.flags),
                trace_state=self.state or _EMPTY,
            )
        return self._context

    @property
    def traceparent(self) -> str:
        """The header that continues the trace; "" where that takes more than one."""
        if self.state:
            return ""
        ids = (self.trace_id, self.span_id, self.flags)
        return "00-%032x-%016x-%02x" % ids  # noqa: UP031 - a quarter of the others' time

    def is_recording(self) -> bool:
        """Tell whether the span is open."""
        return not self.end_ns

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set one attribute; after the end, say that it is too late."""
        if self.end_ns:
            _log.warning("Setting attribute on ended span.")
            return
        varying = self.varying
        if self.bounded is not None or type(value) not in _SCALARS or not key:
            self.bound()[key] = value
        elif varying is None:
            self.varying = {key: value}
        elif len(varying) < self.frame.room:
            varying[key] = value
        else:
            self.bound()[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set several attributes."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        """Add an event; `timestamp` in ns since the epoch (default: now)."""
        if self._is_late():
            return
        limits = self.frame.limits
        if self.events is None:
            self.events = BoundedList(limits.max_events)
        bounded = BoundedAttributes(
            limits.max_event_attributes, attributes, max_value_len=limits.max_attribute_length
        )
        self.events.append(Event(name, bounded, timestamp))
        self.more = True

    def link(self, links: Sequence[Link]) -> None:
        """Add the links that the span begins with."""
        if len(links) == 1 and not links[0].attributes and self.frame.linkable:
            self.linked = links[0].context if links[0].context.is_valid else None
            return
        for link in links:
            self.add_link(link.context, link.attributes)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Link the span to another."""
        if not context or not (context.is_valid or attributes or context.trace_state):
            return
        if self._is_late():
            return
        limits = self.frame.limits
        first, self.linked = self.linked, None
        if self._links is None:
            self._links = BoundedList(limits.max_links)
        if first is not None:
            self._links.append(Link(first))
        bounded = attributes and BoundedAttributes(
            limits.max_link_attributes, attributes, max_value_len=limits.max_attribute_length
        )
        self._links.append(Link(context, bounded))
        self.more = True

    def update_name(self, name: str) -> None:
        """Rename the span."""
        if not self._is_late():
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status; OK is final, UNSET means nothing."""
        if self._is_late():
            return
        if isinstance(status, StatusCode):
            status = Status(status, description)
        elif description is not None:
            _log.warning("Description %s ignored: the status has one of its own", description)
        final = self.status is not None and self.status.status_code is StatusCode.OK
        if not final and status.status_code is not StatusCode.UNSET:
            self.status = status
            self.more = True

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add `exception` as an event, as the SDK does."""
        SdkSpan.record_exception(self, exception, attributes, timestamp, escaped)  # type: ignore[arg-type]

    def end(self, end_time: int | None = None) -> None:
        """End the span before its call does; `end_time` in ns since the epoch."""
        if self.end_ns:
            _log.warning("Calling end() on an ended span.")
            return
        self.end_ns = end_time or time.time_ns()
        self.early = True
        self.frame.ended(self)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_val is not None and self.is_recording():
            self.set_status(Status(StatusCode.ERROR, f"{type(exc_val).__name__}: {exc_val}"))
        super().__exit__(exc_type, exc_val, exc_tb)

    def _is_late(self) -> bool:
        if self.end_ns:
            _log.warning("The span has ended already.")
        return bool(self.end_ns)
