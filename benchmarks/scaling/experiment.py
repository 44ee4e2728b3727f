"""What is compared, and what comes of it: rows of results.json."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.scaling.demand import PEAK, SERVICE_TIME, SHAPES, Demand, day, step
from benchmarks.scaling.forecasts import Score, compared
from benchmarks.scaling.scalers import MOST, Keda, Ours, Static, Tuning
from benchmarks.scaling.simulation import Outcome, Scaler, percentile, run
from services.report_runner.scaling import Limits

FILE: Final = Path(__file__).with_name("results.json")
HOUR: Final = 3600.0
"""A day of 24 hours, 24 times as fast."""
WHOLE: Final = 86_400.0
SEEDS: Final = range(1, 11)
STEPS: Final = 30
OURS: Final = "Weft"
USUAL: Final = "KEDA 20"
Make = Callable[[random.Random, Demand], Scaler]


class Days(msgspec.Struct):
    """The same shape of a day several times: one value for each of them."""

    shape: str
    length: float
    variant: str
    p50: list[float] = []
    p95: list[float] = []
    hours: list[float] = []
    work: list[float] = []
    """Hours that the reports took, in sum."""


class Steps(msgspec.Struct):
    """Seconds from a step of demand until there were the workers for it."""

    variant: str
    base: float
    """Reports a second before the step."""
    median: float | None
    p95: float | None
    """None: not within the time that was looked at."""


class Course(msgspec.Struct):
    """One day, for the picture: from when on there were how many workers."""

    shape: str
    variant: str
    sizes: list[tuple[float, int]]


class Results(msgspec.Struct):
    """All that the page and the picture are made of."""

    days: list[Days]
    steps: list[Steps]
    courses: list[Course]
    forecasts: list[Score]


def variants() -> dict[str, Make]:
    """Return who is compared, by name."""
    found: dict[str, Make] = {
        "static, the mean": lambda _, demand: Static(math.ceil(3600 * demand.work / demand.length)),
        "static, the peak": lambda _, __: Static(math.ceil(PEAK * SERVICE_TIME)),
        f"{USUAL}, polled every 30 s": _keda(Tuning(20, 30.0)),
        USUAL: _keda(Tuning(20, 1.0)),
    }
    for target in (40, 10, 5, 2, 1):
        found[f"KEDA {target}"] = _keda(Tuning(target, 1.0))
    for target in (20, 10, 5, 2, 1):
        found[f"KEDA {target}, in hand too"] = _keda(Tuning(target, 1.0, in_hand=True))
    for wait in (5.0, 10.0, 40.0):
        found[f"{OURS}, target {wait:g} s"] = _ours(wait)
    return found | {OURS: _ours(Limits().target_wait)}


def measured(tell: Callable[[str], None]) -> Results:
    """Do all of it."""
    results = Results(days=[], steps=[], courses=[], forecasts=[])
    for shape in SHAPES:
        tell(f"a day: {shape}")
        results.days += days(shape, HOUR, SEEDS, variants())
        results.courses += courses(shape)
    few = {
        name: variants()[name]
        for name in (USUAL, "KEDA 2, in hand too", f"{OURS}, target 40 s", OURS)
    }
    for shape in SHAPES:
        tell(f"a day that is as long as one: {shape}")
        results.days += days(shape, WHOLE, SEEDS[:1], few)
    tell("steps")
    results.steps += steps()
    tell("forecasts")
    results.forecasts += compared(HOUR, SEEDS[:3])
    return results


def days(shape: str, length: float, seeds: Sequence[int], who: dict[str, Make]) -> list[Days]:
    """Let each of them have the same days."""
    found = {name: Days(shape, length, name) for name in who}
    for seed in seeds:
        demand = day(shape, length, seed)
        for name, make in who.items():
            outcome = run(demand, make(random.Random(f"phase {seed}"), demand))
            row = found[name]
            row.p50.append(round(outcome.wait(0.5), 1))
            row.p95.append(round(outcome.wait(0.95), 1))
            row.hours.append(round(outcome.worker_hours, 2))
            row.work.append(round(demand.work, 2))
    return list(found.values())


def courses(shape: str) -> Iterator[Course]:
    """Return the first of the days as it went."""
    demand = day(shape, HOUR, SEEDS[0])
    for name in (USUAL, OURS):
        outcome = run(demand, variants()[name](random.Random(f"phase {SEEDS[0]}"), demand))
        yield Course(shape, name, [(round(at), size) for at, size in outcome.sizes])


def steps() -> Iterator[Steps]:
    """Time steps of demand at random moments, from nothing and from a little."""
    who = variants()
    for base in (0.0, 0.5):
        for name in (f"{USUAL}, polled every 30 s", USUAL, "KEDA 1, in hand too", OURS):
            taken = [_step_taken(who[name], base, seed) for seed in range(STEPS)]
            middle, most = percentile(taken, 0.5), percentile(taken, 0.95)
            yield Steps(name, base, _known(middle), _known(most))


def enough() -> float:
    """Return how many workers a step needs to be answered: nine tenths of those that it employs."""
    return 0.9 * PEAK * SERVICE_TIME


def read(file: Path = FILE) -> Results:
    """Return what was measured last."""
    return msgspec.json.decode(file.read_bytes(), type=Results)


def write(results: Results, file: Path = FILE) -> None:
    """Keep what was measured: a line for each row."""
    lines = []
    for name in Results.__struct_fields__:
        rows = [msgspec.json.encode(row).decode() for row in getattr(results, name)]
        lines.append(f'"{name}": [\n' + ",\n".join(rows) + "\n]")
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _keda(tuning: Tuning) -> Make:
    return lambda source, _: Keda(tuning, source)


def _ours(target_wait: float) -> Make:
    limits = Limits(max_workers=MOST, target_wait=target_wait)
    return lambda source, _: Ours(limits, source)


def _step_taken(make: Make, base: float, seed: int) -> float:
    source = random.Random(f"phase {seed}")
    before = 400 + source.random() * 60
    demand = step(PEAK, before=before, after=900, base=base, seed=seed)
    outcome: Outcome = run(demand, make(source, demand))
    return outcome.reached(enough(), before)


def _known(seconds: float) -> float | None:
    return round(seconds, 1) if math.isfinite(seconds) else None
