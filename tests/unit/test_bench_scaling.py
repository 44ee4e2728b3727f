"""The simulation behind docs/scaling.md, and that the page is what it says."""

import random
from pathlib import Path

import pytest

from benchmarks.scaling import experiment, page, picture
from benchmarks.scaling.demand import SERVICE_TIME, SHAPES, Demand, day
from benchmarks.scaling.scalers import MOST, Keda, Ours, Static, Tuning
from benchmarks.scaling.simulation import Line, Outcome, percentile, run
from services.report_runner.scaling import Limits

RESULTS = experiment.read()


def line(*, waiting: int, running: int = 0, workers: int = 0, now: float = 0.0) -> Line:
    """Return a line as it is at `now`."""
    demand = Demand("none", 1e6, [0.0] * (waiting + running), [1e9] * (waiting + running), _none)
    found = Line(demand, running)
    found.advance(now)
    found.workers = workers
    return found


def _none(_: float) -> float:
    return 0.0


def demand(arrivals: list[float], services: list[float], length: float = 100.0) -> Demand:
    return Demand("none", length, arrivals, services, _none)


def test_reports_wait_in_line_as_in_the_table() -> None:
    # one worker: 0 to 10, 10 to 14, 14 to 15, and one at 50 that need not wait
    outcome = run(demand([0.0, 1.0, 2.0, 50.0], [10.0, 4.0, 1.0, 1.0]), Static(1))
    assert outcome.waits == [0.0, 9.0, 12.0, 0.0]
    assert outcome.worker_hours == pytest.approx(100 / 3600)
    assert outcome.wait(0.5) == 0.0
    assert outcome.wait(0.95) == 12.0


def test_a_worker_that_is_one_too_many_finishes_its_report_and_costs_so_long() -> None:
    found = Line(demand([0.0, 0.0, 0.0], [10.0, 20.0, 1.0]), 2)
    found.advance(5.0)
    found.resize(1)
    found.advance(100.0)
    # two until the first is done, then one; the third waits for the second
    assert found.waits == [0.0, 0.0, 20.0]
    assert found.worker_seconds == pytest.approx(2 * 10 + 90)


@pytest.mark.parametrize(
    ("waiting", "workers", "size"),
    [
        (40, 1, 2),
        (41, 1, 3),
        # up by four, or to twice as many
        (1000, 1, 5),
        (1000, 10, 20),
        # within a tenth of 20 each
        (210, 10, 10),
        (230, 10, 12),
    ],
)
def test_kedas_hpa_grows_as_kubernetes_says(waiting: int, workers: int, size: int) -> None:
    keda = Keda(Tuning(20, 1e9), random.Random(1))
    assert keda.look(line(waiting=waiting, workers=workers, now=keda.when)) == size


def test_kedas_hpa_shrinks_to_the_most_of_five_minutes() -> None:
    keda = Keda(Tuning(20, 1e9), random.Random(1))
    first = keda.when
    sizes = []
    for n in range(22):
        waiting = 100 if n == 0 else 40
        sizes.append(keda.look(line(waiting=waiting, workers=5, now=first + 15.0 * n)))
    assert sizes == [5] * 20 + [2] * 2


def test_keda_takes_none_to_one_when_it_looks_and_back_after_its_cooldown() -> None:
    keda = Keda(Tuning(20, 30.0), random.Random(3))
    keda._sync_at = 1e9
    first = keda.when = keda._poll_at
    assert first < 30
    assert keda.look(line(waiting=1, now=first)) == 1
    assert keda.when == first + 30
    sizes = [keda.look(line(waiting=0, workers=1, now=first + 30 * n)) for n in range(1, 12)]
    assert sizes == [1] * 10 + [0]


def test_who_sleeps_is_woken_by_what_waits_after_the_time_of_an_alert() -> None:
    ours = Ours(Limits(), random.Random(1))
    outcome = run(demand([200.0] * 9, [2.0] * 9, 260.0), ours)
    grown = [at for at, size in outcome.sizes if size > 1]
    assert 203.0 <= grown[0] <= 205.0
    assert outcome.sizes[-1][1] == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_a_day_has_its_reports_in_order_and_their_mean_time(shape: str) -> None:
    one = day(shape, 3600.0, 1)
    assert one.arrivals == sorted(one.arrivals)
    assert one.arrivals == day(shape, 3600.0, 1).arrivals
    assert one.arrivals != day(shape, 3600.0, 2).arrivals
    assert sum(one.services) / len(one.services) == pytest.approx(SERVICE_TIME, rel=0.1)


def test_percentiles_are_values_that_were_there() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.95)) == (50.0, 95.0)
    assert Outcome(values, 0.0, [(0.0, 1), (5.0, 8)]).reached(8, 2.0) == 3.0


def test_the_page_agrees_with_the_results() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.render(text, RESULTS) == text, "run: python -m benchmarks.scaling"


def test_the_picture_agrees_with_the_results() -> None:
    text = picture.PICTURE.read_text(encoding="utf-8")
    assert picture.drawn(RESULTS) == text, "run: python -m benchmarks.scaling"


@pytest.mark.parametrize("name", [experiment.OURS, experiment.USUAL])
def test_the_results_are_those_of_the_code(name: str) -> None:
    who = {name: experiment.variants()[name]}
    (again,) = experiment.days("burst", experiment.HOUR, experiment.SEEDS[:1], who)
    kept = next(
        row
        for row in RESULTS.days
        if (row.shape, row.length, row.variant) == ("burst", experiment.HOUR, name)
    )
    found = (again.p95[0], again.hours[0])
    assert found == pytest.approx((kept.p95[0], kept.hours[0]), abs=0.11), (
        "run: make bench ONLY=scaling"
    )


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    experiment.write(RESULTS, tmp_path / "results.json")
    assert experiment.read(tmp_path / "results.json") == RESULTS


def test_nobody_has_more_workers_than_all_may_have() -> None:
    keda = Keda(Tuning(1, 1e9), random.Random(1))
    assert keda.look(line(waiting=10_000, workers=60, now=keda.when)) == MOST
