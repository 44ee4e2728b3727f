"""The tables of docs/scaling.md: what stands between `<!-- scaling NAME -->` and `<!-- end -->`."""

import re
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.scaling.demand import BASE, PEAK, SHAPES
from benchmarks.scaling.experiment import HOUR, OURS, USUAL, WHOLE, Days, Results
from benchmarks.scaling.forecasts import LEADS, TIMES, Score

PAGE: Final = Path("docs/scaling.md")
GOAL: Final = 3.0
"""How many times lower the wait is to be."""
ALMOST: Final = 1.02
"""Errors that differ by less are the same."""


def render(page: str, results: Results) -> str:
    """Return the page with its tables as the results have them."""
    drawn = {
        "days": _days(results, HOUR),
        "goals": _goals(results, HOUR),
        "whole days": _days(results, WHOLE),
        "whole goals": _goals(results, WHOLE),
        "steps": _steps(results),
        "forecasts": _forecasts(results),
        "winners": _winners(results),
    }
    return re.sub(
        r"<!-- scaling ([a-z ]+) -->\n.*?<!-- end -->",
        lambda found: f"<!-- scaling {found[1]} -->\n{drawn[found[1]]}\n<!-- end -->",
        page,
        flags=re.DOTALL,
    )


def _days(results: Results, length: float) -> str:
    rows = {(row.variant, row.shape): row for row in results.days if row.length == length}
    head = ["", *(f"{shape}: {what}" for shape in SHAPES for what in ("p95 wait, s", "hours"))]
    lines = []
    for variant in dict.fromkeys(variant for variant, _ in rows):
        cells = [f"**{variant}**" if variant == OURS else variant]
        for shape in SHAPES:
            row = rows[variant, shape]
            cells += [_range(row.p95), f"{median(row.hours):.2f}"]
        lines.append(cells)
    work = ["the reports themselves"]
    for shape in SHAPES:
        work += ["", f"{median(rows[OURS, shape].work):.2f}"]
    return _markdown(head, [*lines, work])


def _goals(results: Results, length: float) -> str:
    lines = []
    for shape in SHAPES:
        rows = [row for row in results.days if (row.shape, row.length) == (shape, length)]
        ours = next(row for row in rows if row.variant == OURS)
        usual = next(row for row in rows if row.variant == USUAL)
        kedas = [row for row in rows if row.variant.startswith("KEDA")]
        thrifty = [row for row in kedas if median(row.hours) <= median(ours.hours)]
        quick = min(kedas, key=lambda row: median(row.p95))
        lines.append(f"- {shape}: {_beside(ours, usual)}: {_verdict(ours, usual)}.")
        if thrifty:
            best = min(thrifty, key=lambda row: median(row.p95))
            if best is not usual:
                lines[-1] += f" The best KEDA that takes no more hours: {_short(best)}."
        else:
            lines[-1] += " No KEDA of the table takes as few hours."
        lines[-1] += f" The lowest wait of a KEDA: {_short(quick)}."
    return "\n".join(lines)


def _beside(ours: Days, other: Days) -> str:
    return (
        f"p95 of {median(ours.p95):.1f} s beside {median(other.p95):.1f} s of {other.variant}"
        f" ({_times(ours, other):.1f} times lower), {median(ours.hours):.2f} beside"
        f" {median(other.hours):.2f} worker-hours"
    )


def _short(row: Days) -> str:
    return f"{row.variant}, {median(row.p95):.1f} s and {median(row.hours):.2f} hours"


def _verdict(ours: Days, other: Days) -> str:
    waits, hours = _times(ours, other) >= GOAL, median(ours.hours) <= median(other.hours)
    return "reached" if waits and hours else "NOT reached"


def _times(ours: Days, other: Days) -> float:
    return median(other.p95) / median(ours.p95)


def _steps(results: Results) -> str:
    bases = list(dict.fromkeys(row.base for row in results.steps))
    rows = {(row.variant, row.base): row for row in results.steps}
    head = ["", *(f"from {base:g}/s: {what}" for base in bases for what in ("median, s", "p95, s"))]
    lines = []
    for variant in dict.fromkeys(row.variant for row in results.steps):
        found = [rows[variant, base] for base in bases]
        seconds = [one for row in found for one in (row.median, row.p95)]
        cells = ["over 900" if one is None else f"{one:.1f}" for one in seconds]
        lines.append([f"**{variant}**" if variant == OURS else variant, *cells])
    return _markdown(head, lines)


def _forecasts(results: Results) -> str:
    return "\n\n".join(
        f"{_rates(times)}:\n\n{_scores([row for row in results.forecasts if row.times == times])}"
        for times in TIMES
    )


def _rates(times: int) -> str:
    return f"{BASE * times:g} to {PEAK * times:g} reports a second"


def _scores(rows: Sequence[Score]) -> str:
    scores = {(row.method, row.shape, row.lead): row for row in rows}
    columns = [(shape, lead) for lead in LEADS for shape in SHAPES]
    head = ["", *(f"{shape}, {lead} s" for shape, lead in columns)]
    lines = [["naive: as the last", *("1" for _ in columns)]]
    for method in dict.fromkeys(row.method for row in rows):
        cells = [scores[method, *column] for column in columns]
        lines.append([method, *(f"{one.mase:.2f} ({one.mae:.2f})" for one in cells)])
    return _markdown(head, lines)


def _winners(results: Results) -> str:
    lines = []
    for times, lead, shape in product(TIMES, LEADS, SHAPES):
        where = (shape, lead, times)
        rows = [one for one in results.forecasts if (one.shape, one.lead, one.times) == where]
        least = min(row.mase for row in rows)
        best = [row.method for row in rows if row.mase <= least * ALMOST]
        names = "naive" if least >= 1 else "; ".join(best)
        lines.append([_rates(times), shape, f"{lead} s", names, f"{min(least, 1):.2f}"])
    return _markdown(["demand", "shape", "lead", "least wrong", "MASE"], lines)


def _range(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
