"""`weft trace --critical-path`: where the time of a trace went."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from weft.backends.critical import Step
from weft.backends.trace import Trace
from weft.backends.words import duration

_LEAST = 0.01
"""The share of the whole below which a step is counted with others."""
WAITING = "waiting"


def draw(trace: Trace, steps: Sequence[Step], *, full: bool) -> Iterator[Text]:
    """Yield the lines: the steps by time, and how much each service had of the whole."""
    whole = trace.duration or 1.0
    yield Text.assemble("trace ", (trace.trace_id, "bold"))
    yield Text(f"critical path of {duration(trace.duration)}: {len(steps)} steps")
    if not trace.whole:
        yield Text("not whole: spans are missing, so the path may be another", "yellow")
    yield Text("   offset     took share", "dim")
    small: list[Step] = []
    for step in steps:
        if not full and step.duration < _LEAST * whole:
            small.append(step)
            continue
        yield from _together(small, whole)
        small = []
        yield _row(step, trace.start, whole)
    yield from _together(small, whole)
    yield Text("in all", "dim")
    for name, took in shares(steps):
        yield Text(f"{'':>9}{duration(took):>9} {took / whole:>5.0%}  ").append(name, "bold")


def to_json(trace: Trace, steps: Sequence[Step]) -> dict[str, Any]:
    """Return the path in plain types. Times are seconds; offsets are from the trace's start."""
    return {
        "trace_id": trace.trace_id,
        "duration": round(trace.duration, 6),
        "whole": trace.whole,
        "steps": [
            {
                "offset": round(step.start - trace.start, 6),
                "duration": round(step.duration, 6),
                "waiting": step.waiting,
                "service": step.span.service,
                "name": step.span.name,
                "kind": step.span.kind,
                "span_id": step.span.span_id,
            }
            for step in steps
        ],
        "shares": {name: round(took, 6) for name, took in shares(steps)},
    }


def shares(steps: Sequence[Step]) -> list[tuple[str, float]]:
    """Return the seconds of each service, and of waiting, the largest first."""
    found: dict[str, float] = {}
    for step in steps:
        name = WAITING if step.waiting else step.span.service
        found[name] = found.get(name, 0.0) + step.duration
    return sorted(found.items(), key=lambda share: -share[1])


def _row(step: Step, start: float, whole: float) -> Text:
    text = Text(f"{duration(step.start - start):>9}{duration(step.duration):>9} ")
    text.append(f"{step.duration / whole:>5.0%}  ")
    if step.waiting:
        text.append("waiting for ", "yellow")
    text.append(step.span.service, "cyan").append(f" {step.span.name}", "bold")
    return text.append(f" {step.span.kind}" if step.span.kind != "internal" else "", "dim")


def _together(small: Sequence[Step], whole: float) -> Iterator[Text]:
    if small:
        took = sum(step.duration for step in small)
        text = f"{'':>9}{duration(took):>9} {took / whole:>5.0%}  {len(small)} short steps"
        yield Text(text, "dim")
