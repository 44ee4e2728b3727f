"""docs/images/scaling.svg: above, a day of each shape; below, what waits and costs there were."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.scaling.demand import SERVICE_TIME, SHAPES, day
from benchmarks.scaling.experiment import HOUR, OURS, SEEDS, USUAL, Course, Days, Results

PICTURE: Final = Path("docs/images/scaling.svg")
_STYLE: Final = """<style>
  .page { fill: #ffffff; }
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2630; }
  .small { font-size: 11px; fill: #55606e; }
  .axis { stroke: #9aa4b1; fill: none; }
  .need { fill: #e4e8ee; }
  .weft { stroke: #2f6fc0; fill: none; stroke-width: 1.6; }
  .weft-dot { fill: #2f6fc0; }
  .keda { stroke: #b8741a; fill: none; stroke-width: 1.6; }
  .keda-dot { fill: #b8741a; }
  .hand-dot { fill: none; stroke: #b8741a; stroke-width: 1.6; }
  .static-dot { fill: #77828f; }
  .dashed { stroke-dasharray: 3 3; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #12161c; }
    text { fill: #e6eaf0; }
    .small { fill: #a4afbc; }
    .need { fill: #2a313b; }
    .weft { stroke: #6ba6f0; }
    .weft-dot { fill: #6ba6f0; }
    .keda { stroke: #e0a04c; }
    .keda-dot { fill: #e0a04c; }
    .hand-dot { stroke: #e0a04c; }
  }
</style>"""
_DESCRIBED: Final = (
    "Upper row: how many workers the demand of a day keeps busy, and how many KEDA with a target of"
    " 20 and Weft had. Lower row: the 95th percentile of the wait over the worker-hours of the day,"
    " for static sizes, KEDA's tunings and Weft's target waits. docs/scaling.md has the numbers."
)
WIDTH, HEIGHT = 980, 600
_LEFT, _GAP, _WIDE, _HIGH = 52, 34, 280, 200
_TOPS: Final = (64, 336)
_MOST_WORKERS: Final = 40
_WAITS: Final = (0.1, 1.0, 10.0, 100.0)
_POINTS: Final = 240


@dataclass(frozen=True)
class Box:
    """A diagram's place on the page, and what its two axes go over."""

    left: float
    top: float
    x_most: float
    y_least: float
    y_most: float
    logarithmic: bool = False

    def x(self, value: float) -> str:
        """Return where `value` is, in pixels."""
        return f"{self.left + _WIDE * min(value / self.x_most, 1):.1f}"

    def y(self, value: float) -> str:
        """Return where `value` is, in pixels; what is outside the axis is at its end."""
        least, most = (self._scaled(one) for one in (self.y_least, self.y_most))
        inside = min(max(self._scaled(max(value, self.y_least)), least), most)
        return f"{self.top + _HIGH * (1 - (inside - least) / (most - least)):.1f}"

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def drawn(results: Results) -> str:
    """Return the picture."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        'role="img" aria-labelledby="t d">',
        '<title id="t">Workers over three days, and what they wait and cost</title>',
        f'<desc id="d">{_DESCRIBED}</desc>',
        _STYLE,
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        *_legend(),
    ]
    for column, shape in enumerate(SHAPES):
        left = _LEFT + column * (_WIDE + _GAP)
        courses = [one for one in results.courses if one.shape == shape]
        parts += _course(left, shape, courses)
        days = [one for one in results.days if (one.shape, one.length) == (shape, HOUR)]
        parts += _costs(left, shape, days)
    return "\n".join([*parts, "</svg>", ""])


def _legend() -> Iterable[str]:
    entries = [
        (
            '<rect class="need" x="52" y="18" width="22" height="12"/>',
            80,
            "kept busy by the demand",
        ),
        ('<path class="keda" d="M280 24h22"/>', 308, "KEDA"),
        ('<circle class="keda-dot" cx="372" cy="24" r="4"/>', 382, "counts what waits"),
        ('<circle class="hand-dot" cx="522" cy="24" r="4"/>', 532, "and what is in hand"),
        ('<circle class="static-dot" cx="684" cy="24" r="4"/>', 694, "static"),
        ('<path class="weft" d="M762 24h22"/>', 790, "Weft"),
    ]
    for mark, x, words in entries:
        yield mark
        yield f'<text x="{x}" y="28">{words}</text>'


def _course(left: float, shape: str, courses: Sequence[Course]) -> Iterable[str]:
    box = Box(left, _TOPS[0], HOUR, 0, _MOST_WORKERS)
    rate = day(shape, HOUR, SEEDS[0]).rate
    needs = [(HOUR * n / _POINTS, SERVICE_TIME * rate(n / _POINTS)) for n in range(_POINTS + 1)]
    line = " ".join(f"{box.x(at)},{box.y(need)}" for at, need in needs)
    yield f'<polygon class="need" points="{box.x(0)},{box.y(0)} {line} {box.x(HOUR)},{box.y(0)}"/>'
    for course in courses:
        kind = "weft" if course.variant == OURS else "keda"
        yield f'<path class="{kind}" d="{_staircase(box, course.sizes)}"/>'
    yield from _axes(box, f"{shape}: workers", [(n, str(n)) for n in range(0, 41, 10)])
    yield from _marks(box, [(HOUR * n / 4, f"{6 * n} h") for n in range(5)])


def _staircase(box: Box, sizes: Sequence[tuple[float, int]]) -> str:
    within = [(at, size) for at, size in sizes if at <= HOUR]
    first, *rest = within
    steps = "".join(f"H{box.x(at)}V{box.y(size)}" for at, size in rest)
    return f"M{box.x(first[0])} {box.y(first[1])}{steps}H{box.x(HOUR)}"


def _costs(left: float, shape: str, days: Sequence[Days]) -> Iterable[str]:
    most = max(math.ceil(median(one.hours) / 5) * 5 for one in days)
    box = Box(left, _TOPS[1], most, _WAITS[0], 400.0, logarithmic=True)
    work = median(days[0].work)
    yield f'<path class="axis dashed" d="M{box.x(work)} {box.top}v{_HIGH}"/>'
    yield from _trail(box, "weft", [one for one in days if one.variant.startswith(OURS)])
    kedas = [one for one in days if one.variant.startswith("KEDA") and "polled" not in one.variant]
    yield from _trail(box, "keda", [one for one in kedas if "hand" not in one.variant])
    yield from _dots(box, "hand", [one for one in kedas if "hand" in one.variant])
    yield from _dots(box, "static", [one for one in days if one.variant.startswith("static")])
    for one in days:
        if one.variant in (OURS, USUAL):
            x, y = float(box.x(median(one.hours))) + 8, float(box.y(median(one.p95))) + 4
            yield f'<text class="small" x="{x:.1f}" y="{y:.1f}">{one.variant}</text>'
    yield from _axes(box, f"{shape}: p95 wait, s", [(one, f"{one:g}") for one in _WAITS])
    yield from _marks(box, [(most * n / 5, f"{most * n / 5:g}") for n in range(6)])
    if shape == list(SHAPES)[1]:
        words = "worker-hours; dashed: what the reports themselves take"
        x, y = box.left + _WIDE / 2, box.top + _HIGH + 38
        yield f'<text class="small" text-anchor="middle" x="{x}" y="{y}">{words}</text>'


def _trail(box: Box, kind: str, days: Sequence[Days]) -> Iterable[str]:
    ordered = sorted(days, key=lambda one: median(one.hours))
    points = [f"{box.x(median(one.hours))},{box.y(median(one.p95))}" for one in ordered]
    yield f'<polyline class="{kind}" points="{" ".join(points)}"/>'
    yield from _dots(box, kind, days)


def _dots(box: Box, kind: str, days: Sequence[Days]) -> Iterable[str]:
    for one in days:
        x, y = box.x(median(one.hours)), box.y(median(one.p95))
        tip = f"{one.variant}: p95 {median(one.p95):.1f} s, {median(one.hours):.2f} hours"
        yield f'<circle class="{kind}-dot" cx="{x}" cy="{y}" r="4"><title>{tip}</title></circle>'


def _axes(box: Box, title: str, marks: Sequence[tuple[float, str]]) -> Iterable[str]:
    yield f'<path class="axis" d="M{box.left} {box.top}v{_HIGH}h{_WIDE}"/>'
    yield f'<text x="{box.left}" y="{box.top - 10}">{title}</text>'
    for value, words in marks:
        y = float(box.y(value)) + 4
        yield f'<text class="small" text-anchor="end" x="{box.left - 5}" y="{y:.1f}">{words}</text>'


def _marks(box: Box, marks: Sequence[tuple[float, str]]) -> Iterable[str]:
    y = box.top + _HIGH + 15
    for value, words in marks:
        yield f'<text class="small" text-anchor="middle" x="{box.x(value)}" y="{y}">{words}</text>'
