"""The figures for people: a table for the terminal, and the bench's section of the page."""

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.bench.bench import Bench, Goal
from benchmarks.bench.rows import Row, Samples

PAGE: Final = Path("docs/performance.md")
_TITLES: Final = {"per_second": "{unit}s a second", "cpu_us_per_unit": "CPU µs a {unit}"}
_TITLES_OTHER: Final = {"p50_ms": "p50 ms", "p99_ms": "p99 ms"}


def table(bench: Bench, rows: Sequence[Row]) -> list[list[str]]:
    """Return the cells: a line for each variant, a column for each metric, the titles first."""
    metrics = [m for m in dict.fromkeys(row.metric for row in rows) if "_beside_" not in m]
    ratios = {(row.variant, row.metric): row.median for row in rows if "_beside_" in row.metric}
    known = {(row.variant, row.metric): row for row in rows}
    first = bench.variants[0].name
    lines = [["variant"]]
    for metric in metrics:
        title = {**_TITLES, **_TITLES_OTHER}.get(metric, metric.replace("_", " "))
        lines[0] += [title.format(unit=bench.unit)]
        if metric in _TITLES:
            lines[0] += [f"beside {first}"]
    for variant in dict.fromkeys(row.variant for row in rows):
        line = [variant]
        for metric in metrics:
            line.append(_three(known.get((variant, metric))))
            if metric in _TITLES:
                ratio = ratios.get((variant, f"{metric}_beside_{first}"))
                line.append("" if ratio is None else f"{ratio:.2f}")
        lines.append(line)
    return lines


def goals(samples: Samples) -> list[str]:
    """Return a sentence for each goal: what it is, and what was measured."""
    lines = []
    for goal in samples.bench.goals:
        ratios = samples.judged(goal)
        if ratios:
            lines.append(_judged(goal, ratios))
    return lines


def text(cells: list[list[str]]) -> str:
    """Return a table for the terminal."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def section(
    bench: Bench, cells: list[list[str]], judged: list[str], machine: str, picture: str = ""
) -> str:
    """Return the bench's section in Markdown; `picture` is a file's name in docs/images."""
    head, *rest = cells
    grid = [head, ["---"] * len(head), *rest]
    return "\n".join(
        [
            f"## {bench.name}",
            "",
            bench.about,
            "",
            *(f"- `{one.name}`: {one.about}" for one in bench.variants),
            "",
            *([f"![{bench.name} as bars](images/{picture})", ""] if picture else []),
            *(f"| {' | '.join(line)} |" for line in grid),
            "",
            *(f"- {line}" for line in judged),
            *([""] if judged else []),
            f"`make bench ONLY={bench.name}`, {machine}.",
        ]
    )


def put(name: str, new: str, page: Path = PAGE) -> None:
    """Replace the section of bench `name` on the page, between its two marks, or add it."""
    begin, end = f"<!-- bench {name} -->", f"<!-- end of bench {name} -->"
    marked = f"{begin}\n{new}\n{end}"
    old = page.read_text(encoding="utf-8")
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if found.search(old):
        page.write_text(found.sub(lambda _: marked, old), encoding="utf-8")
    else:
        page.write_text(f"{old.rstrip()}\n\n{marked}\n", encoding="utf-8")


def _judged(goal: Goal, ratios: list[float]) -> str:
    ratio = median(ratios)
    over = f", above `{goal.above}`" if goal.above else ""
    over += f" and `{goal.beside_above}`" if goal.beside_above else ""
    verdict = "reached" if goal.reached(ratio) else "NOT reached"
    return (
        f"goal: `{goal.variant}` {goal.kind} {goal.bound:g} of `{goal.beside}` in"
        f" {goal.metric}{over}: {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}), {verdict}"
    )


def _three(row: Row | None) -> str:
    if row is None:
        return ""
    return f"{number(row.median)} ({number(row.min)} to {number(row.max)})"


def number(value: float) -> str:
    """Return a figure with three digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - four digits
