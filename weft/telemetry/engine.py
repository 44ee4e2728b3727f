"""What stands behind `record`: an engine begins spans and makes signals of calls that ended."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind

from weft.telemetry.instruments import Instrument
from weft.telemetry.labels import Labels

Facts = dict[str, Any]


class Said(NamedTuple):
    """The canonical log line of a call."""

    level: str
    logger: str
    message: str


class Ended(Protocol):
    """A call that is over."""

    @property
    def span(self) -> Span: ...
    @property
    def context(self) -> Context: ...
    @property
    def facts(self) -> Facts: ...
    @property
    def seconds(self) -> float: ...
    @property
    def at(self) -> int: ...

    def report(self, sink: "Sink", error: BaseException | None) -> None:
        """Tell `sink` what became of the call."""


class Sink(Protocol):
    """Takes what a call that has ended tells of itself."""

    def measure(self, instrument: Instrument, value: float, labels: Labels, call: Ended) -> None:
        """Record one measurement of `call`, with its span as exemplar if that is sampled."""

    def tell(
        self,
        call: Ended,
        name: str | None,
        labels: Labels,
        failure: str | None,
        error: BaseException | None,
        said: Said | None = None,
    ) -> None:
        """End the call's span (renamed to `name`) with `labels` and the call's facts.

        `failure` is its error.type. `said` is its log line: the same attributes, and `duration`.
        """


class Engine(Protocol):
    """Makes spans, points and log records."""

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
        """Begin a span below `parent` (default: the current context); return it and its context.

        It has begun at `since`, in ns since the epoch (default: now).
        """

    def finish(self, call: Ended, error: BaseException | None) -> None:
        """Make the signals of `call`, now or soon."""

    def begin_count(self, counter: Instrument, labels: Labels) -> None:
        """Let the series of `labels` begin, at 0."""

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
        """Write one log record, with an event name if it has one. `facts` hold no None."""
