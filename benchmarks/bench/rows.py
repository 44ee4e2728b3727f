"""The figures of a run: minimum, median and maximum of the rounds, as rows of build/bench.json."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.bench.bench import Bench, Goal

FILE: Final = Path("build/bench.json")
_BESIDE: Final = ("per_second", "cpu_us_per_unit", "p99_ms")


@dataclass(frozen=True)
class Row:
    """One figure. A metric `X_beside_bare` is the ratio to the first variant in the same round."""

    bench: str
    variant: str
    metric: str
    unit: str
    min: float
    median: float
    max: float
    rounds: int


@dataclass
class Samples:
    """What was measured: for each variant and metric one value a round."""

    bench: Bench
    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, variant: str, figures: dict[str, float]) -> None:
        """Note the figures of one round."""
        for metric, value in figures.items():
            self.values.setdefault((variant, metric), []).append(value)

    def ratios(self, variant: str, metric: str, beside: str) -> list[float]:
        """Return the ratio of two variants, round by round."""
        ours = self.values.get((variant, metric), [])
        theirs = self.values.get((beside, metric), [])
        return [one / other for one, other in zip(ours, theirs, strict=False) if other]

    def judged(self, goal: Goal) -> list[float]:
        """Return what `goal` is about, round by round."""
        ours = self._added(goal.variant, goal.metric, goal.above)
        theirs = self._added(goal.beside, goal.metric, goal.beside_above or goal.above)
        return [one / other for one, other in zip(ours, theirs, strict=False) if other]

    def _added(self, variant: str, metric: str, above: str) -> list[float]:
        whole = self.values.get((variant, metric), [])
        base = self.values.get((above, metric), []) if above else [0.0] * len(whole)
        return [one - less for one, less in zip(whole, base, strict=False)]

    def rows(self) -> list[Row]:
        """Return all figures, and beside them their ratios to the first variant."""
        first = self.bench.variants[0].name
        rows = []
        for (variant, metric), values in self.values.items():
            rows.append(self._row(variant, metric, _unit(metric, self.bench.unit), values))
            if metric in _BESIDE and (beside := self.ratios(variant, metric, first)):
                rows.append(self._row(variant, f"{metric}_beside_{first}", "", beside))
        return rows

    def _row(self, variant: str, metric: str, unit: str, values: list[float]) -> Row:
        low, middle, high = min(values), median(values), max(values)
        return Row(self.bench.name, variant, metric, unit, low, middle, high, len(values))


def _unit(metric: str, unit: str) -> str:
    known = {"per_second": f"{unit}s/s", "cpu_us_per_unit": f"us/{unit}", "p99_ms": "ms"}
    return known.get(metric, metric.rpartition("_")[2])


def read(file: Path = FILE) -> list[Row]:
    """Return the rows of the last runs; none where there was none."""
    try:
        return [Row(**entry) for entry in json.loads(file.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []


def write(rows: Iterable[Row], file: Path = FILE) -> None:
    """Replace the rows of the benches in `rows`, and keep those of others."""
    new = list(rows)
    measured = {row.bench for row in new}
    kept = [row for row in read(file) if row.bench not in measured]
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(row) for row in (*kept, *new)], indent=1)
    file.write_text(text + "\n", encoding="utf-8")
