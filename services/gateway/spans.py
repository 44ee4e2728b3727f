"""What a browser may tell of itself: OTLP's JSON for spans, bounded, and only what it may say."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from weft.http import Problem

MOST_SPANS: Final = 256
"""Spans of one request."""
MOST_NAMES: Final = 200
"""Span names of all browsers that are kept apart: each is a series of the span metrics."""
OTHER: Final = "other"
"""What a span is called whose name is one too many."""
KEPT: Final = frozenset(
    (
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "messaging.message.id",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.system",
        "url.template",
        "weft.message.type",
        "weft.order.id",
        "weft.report.id",
        "weft.update.seq",
    )
)
"""Attributes that are handed on; the span metrics have a label for the status code alone."""

TraceId = Annotated[str, Meta(pattern=r"^(?!0{32})[0-9a-f]{32}\Z")]
SpanId = Annotated[str, Meta(pattern=r"^(?!0{16})[0-9a-f]{16}\Z")]
Nanoseconds = Annotated[str, Meta(pattern=r"^[0-9]{1,19}\Z")]
Text = Annotated[str, Meta(max_length=256)]
Name = Annotated[str, Meta(pattern=r"^[ -~]{1,100}\Z")]


class Value(Struct, omit_defaults=True):
    """One of them."""

    string: Text | None = msgspec.field(name="stringValue", default=None)
    integer: int | Annotated[str, Meta(pattern=r"^-?[0-9]{1,18}\Z")] | None = msgspec.field(
        name="intValue", default=None
    )
    double: float | None = msgspec.field(name="doubleValue", default=None)
    boolean: bool | None = msgspec.field(name="boolValue", default=None)


class Attribute(Struct):
    key: Text
    value: Value


class Status(Struct, omit_defaults=True):
    code: Annotated[int, Meta(ge=0, le=2)] = 0


class Span(Struct, omit_defaults=True, rename="camel"):
    """A span; what it has beside these members is dropped."""

    trace_id: TraceId
    span_id: SpanId
    name: Name
    kind: Annotated[int, Meta(ge=1, le=5)]
    start_time_unix_nano: Nanoseconds
    end_time_unix_nano: Nanoseconds
    parent_span_id: SpanId | None = None
    attributes: Annotated[list[Attribute], Meta(max_length=32)] = []
    status: Status = msgspec.field(default_factory=Status)


class _ScopeSpans(Struct, rename="camel"):
    spans: Annotated[list[Span], Meta(max_length=MOST_SPANS)]


class _ResourceSpans(Struct, rename="camel"):
    scope_spans: Annotated[list[_ScopeSpans], Meta(max_length=16)]


class Export(Struct, rename="camel"):
    """ExportTraceServiceRequest (opentelemetry-proto), as browsers send it."""

    resource_spans: Annotated[list[_ResourceSpans], Meta(max_length=16)]

    def spans(self) -> list[Span]:
        """Return all spans; raise Problem 413 for more than MOST_SPANS."""
        found = list(self._spans())
        if len(found) > MOST_SPANS:
            raise Problem(413, detail=f"At most {MOST_SPANS} spans at once.")
        return found

    def _spans(self) -> Iterator[Span]:
        for resource in self.resource_spans:
            for scope in resource.scope_spans:
                yield from scope.spans


class Names:
    """The first MOST_NAMES names that came; what comes after them is OTHER."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def kept(self, name: str) -> str:
        """Return the name, or OTHER if it is one too many."""
        if name not in self._known:
            if len(self._known) >= MOST_NAMES:
                return OTHER
            self._known.add(name)
        return name


def exported(spans: list[Span], names: Names, *, subject: str, resource: dict[str, str]) -> bytes:
    """Return the request for the collector: spans of this `subject` and `resource` alone."""
    user = Attribute("user.id", Value(string=subject))
    for span in spans:
        span.name = names.kept(span.name)
        kept = {each.key: each for each in span.attributes if _may_say(each)}
        span.attributes = [*kept.values(), user]
    told = {
        "resource": {"attributes": [Attribute(k, Value(string=v)) for k, v in resource.items()]},
        "scopeSpans": [{"scope": {"name": "weft-web"}, "spans": spans}],
    }
    document: dict[str, Any] = {"resourceSpans": [told]}
    return msgspec.json.encode(document)


def _may_say(attribute: Attribute) -> bool:
    if attribute.key == "http.response.status_code":
        return re.fullmatch("[1-5][0-9]{2}", str(attribute.value.integer)) is not None
    return attribute.key in KEPT
