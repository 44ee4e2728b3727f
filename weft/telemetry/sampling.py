"""Sampling at the edge."""

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from weft.telemetry.context import EDGE


class EdgeSampler(Sampler):
    """Lets the `configured` sampler decide about a request from outside as about a root span."""

    def __init__(self, configured: Sampler) -> None:
        self.configured = configured
        self._root: Sampler = getattr(configured, "_root", configured)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide by OTEL_TRACES_SAMPLER; a foreign sampled flag counts for nothing at the edge."""
        sampler = self._root if parent_context and EDGE in parent_context else self.configured
        return sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Name the configured sampler."""
        return f"EdgeSampler{{{self.configured.get_description()}}}"
