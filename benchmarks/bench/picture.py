"""docs/images/bench-NAME.svg: a bar for each variant, as long as the median, with its spread."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

from benchmarks.bench.bench import Bench
from benchmarks.bench.page import number
from benchmarks.bench.rows import Row

FOLDER: Final = Path("docs/images")
_STYLE: Final = """<style>
  .page { fill: #ffffff; }
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2630; }
  .small { font-size: 11px; fill: #55606e; }
  .bar { fill: #9aa4b1; }
  .weft { fill: #2f6fc0; }
  .spread { stroke: #1f2630; stroke-width: 1.2; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #12161c; }
    text { fill: #e6eaf0; }
    .small { fill: #a4afbc; }
    .bar { fill: #55606e; }
    .weft { fill: #6ba6f0; }
    .spread { stroke: #e6eaf0; }
  }
</style>"""
_WIDTH: Final = 760
_LEFT, _LONGEST, _LINE, _THICK = 150, 480, 24, 14


def put(bench: Bench, rows: Sequence[Row], folder: Path = FOLDER) -> str:
    """Draw what `bench` wants pictured; return the file's name, "" if it was not measured."""
    blocks = [(metric, _of(rows, metric)) for metric in bench.pictured]
    blocks = [(metric, found) for metric, found in blocks if found]
    if not blocks:
        return ""
    name = f"bench-{bench.name}.svg"
    (folder / name).write_text(_drawn(bench, blocks), encoding="utf-8")
    return name


def _of(rows: Sequence[Row], metric: str) -> list[Row]:
    return [row for row in rows if row.metric == metric]


def _drawn(bench: Bench, blocks: Sequence[tuple[str, list[Row]]]) -> str:
    parts, top = [], 20.0
    for metric, rows in blocks:
        parts.append(f'<text x="12" y="{top + 8}">{_title(bench, metric)}</text>')
        parts += _bars(rows, top + 18)
        top += 18 + _LINE * len(rows) + 22
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top:g}" role="img"',
            f'aria-label="{bench.name}: the medians of the table below, as bars">',
            _STYLE,
            f'<rect class="page" width="{_WIDTH}" height="{top:g}"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _title(bench: Bench, metric: str) -> str:
    if metric == "cpu_us_per_unit":
        return f"CPU µs a {bench.unit}"
    return metric.replace("_us", " µs").replace("_", " ")


def _bars(rows: Sequence[Row], top: float) -> Iterator[str]:
    most = max(row.max for row in rows) or 1.0
    for place, row in enumerate(rows):
        y = top + _LINE * place
        low, middle, high = (_LEFT + _LONGEST * value / most for value in _three(row))
        kind = "weft" if row.variant.startswith("weft") else "bar"
        yield f'<text text-anchor="end" x="{_LEFT - 8}" y="{y + 12:g}">{escape(row.variant)}</text>'
        yield (
            f'<rect class="{kind}" x="{_LEFT}" y="{y:g}" width="{middle - _LEFT:.1f}"'
            f' height="{_THICK}"/>'
        )
        yield f'<path class="spread" d="M{low:.1f} {y + _THICK / 2:g}H{high:.1f}"/>'
        yield f'<text class="small" x="{high + 8:.1f}" y="{y + 11:g}">{number(row.median)}</text>'


def _three(row: Row) -> tuple[float, float, float]:
    return row.min, row.median, row.max
