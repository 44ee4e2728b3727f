"""The frame of `make bench`: processes under test, rows, goals, the page."""

import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import aiohttp
import pytest

from benchmarks.bench import page, picture, rows
from benchmarks.bench.bench import Bench, Goal, Variant
from benchmarks.bench.measuring import measure
from benchmarks.bench.processes import SubjectError, subject
from benchmarks.bench.rows import Row, Samples
from benchmarks.bench.servers import Servers
from benchmarks.bench.subject import Meter, Place

SINK = "benchmarks.bench.sink:sink"
PYTHON = Path(sys.executable)
IDLE = """
from contextlib import asynccontextmanager

@asynccontextmanager
async def idle(place, meter):
    yield
"""

WRONG = """
from contextlib import asynccontextmanager

async def check():
    raise ValueError("two orders are lost")

@asynccontextmanager
async def wrong(place, meter):
    meter.finish = check
    yield
"""


def _bench(*goals: Goal, subject: str = SINK) -> Bench:
    variants = tuple(Variant(name=name, about=name, subject=subject) for name in ("bare", "weft"))
    return Bench(name="job", about="A job.", unit="job", variants=variants, goals=goals)


def _samples(*goals: Goal) -> Samples:
    samples = Samples(_bench(*goals))
    for bare, weft in ((100.0, 120.0), (50.0, 100.0), (200.0, 180.0)):
        samples.add("bare", {"per_second": bare})
        samples.add("weft", {"per_second": weft})
    return samples


def test_a_row_has_minimum_median_and_maximum_of_the_rounds() -> None:
    known = {(row.variant, row.metric): row for row in _samples().rows()}
    row = known["bare", "per_second"]
    assert row == Row("job", "bare", "per_second", "jobs/s", 50.0, 100.0, 200.0, 3)


def test_a_ratio_is_that_of_one_round_so_that_a_slow_minute_counts_for_both() -> None:
    known = {(row.variant, row.metric): row for row in _samples().rows()}
    row = known["weft", "per_second_beside_bare"]
    assert (row.min, row.median, row.max) == pytest.approx((0.9, 1.2, 2.0))


@pytest.mark.parametrize(
    ("kind", "bound", "word"),
    [
        ("at least", 1.2, " reached"),
        ("at least", 1.21, "NOT reached"),
        ("at most", 1.2, " reached"),
        ("at most", 1.19, "NOT reached"),
    ],
)
def test_a_goal_is_judged_by_the_median_of_the_ratios(kind: str, bound: float, word: str) -> None:
    goal = Goal(variant="weft", metric="per_second", beside="bare", bound=bound, kind=kind)
    (line,) = page.goals(_samples(goal))
    assert line.endswith(word)


def test_new_rows_replace_those_of_their_bench_and_leave_the_others(tmp_path: Path) -> None:
    file = tmp_path / "build" / "bench.json"
    row = Row("job", "bare", "per_second", "jobs/s", 1.0, 2.0, 3.0, 3)
    other = Row("other", "bare", "per_second", "jobs/s", 1.0, 2.0, 3.0, 3)
    better = Row("job", "bare", "per_second", "jobs/s", 2.0, 3.0, 4.0, 5)
    rows.write([row, other], file)
    rows.write([better], file)
    assert rows.read(file) == [other, better]


def test_a_section_of_the_page_is_replaced_and_all_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "performance.md"
    file.write_text("# Performance\n\nBy hand.\n")
    page.put("one", "first", file)
    page.put("two", "second", file)
    page.put("one", r"third \1", file)
    text = file.read_text()
    assert text.startswith("# Performance\n\nBy hand.\n")
    assert [line for line in text.splitlines() if line in {"first", r"third \1", "second"}] == [
        r"third \1",
        "second",
    ]


def test_the_table_has_a_line_for_each_variant_and_the_ratio_beside_the_figure() -> None:
    samples = _samples()
    cells = page.table(samples.bench, samples.rows())
    assert cells == [
        ["variant", "jobs a second", "beside bare"],
        ["bare", "100 (50 to 200)", "1.00"],
        ["weft", "120 (100 to 180)", "1.20"],
    ]


async def test_a_subject_is_a_process_that_counts_what_it_does_between_begin_and_end() -> None:
    async with (
        subject(SINK, Place(), {}, PYTHON) as sink,
        aiohttp.ClientSession() as session,
    ):
        await sink.begin()
        async with session.post(f"{sink.address}/v1/traces", data=b"x" * 1000) as answer:
            assert answer.status == 200
        measured = await sink.end()
        assert measured["rate"] > 0
        assert measured["cores"] > 0
        await sink.begin()
        assert (await sink.end())["rate"] == 0


async def test_a_subject_that_fails_is_an_error_with_what_it_wrote() -> None:
    with pytest.raises(SubjectError, match=r"No module named 'benchmarks\.bench\.nothing'"):
        async with subject("benchmarks.bench.nothing:at_all", Place(), {}, PYTHON):
            pass


async def test_a_check_that_fails_once_all_is_measured_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with subject("wrong:wrong", Place(), {}, PYTHON) as wrong:
        await wrong.begin()
        assert (await wrong.end())["p50_ms"] is None
        with pytest.raises(SubjectError, match="two orders are lost"):
            await wrong.finish()


async def test_variants_alternate_in_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "idle.py").write_text(IDLE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    bench = _bench(subject="idle:idle")
    told: list[str] = []
    quick = Bench(name="job", about="", unit="byte", variants=bench.variants, warm=0, seconds=0)
    samples = await measure(quick, Servers({}), rounds=2, tell=told.append)
    assert [line.split(":")[0] for line in told] == [
        "job 1/2 bare",
        "job 1/2 weft",
        "job 2/2 bare",
        "job 2/2 weft",
    ]
    assert samples.values["weft", "per_second"] == [0.0, 0.0]


def test_a_meter_keeps_no_more_latencies_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.bench.subject.SAMPLES", 2)
    meter = Meter()
    for _ in range(3):
        meter.took(0.1)
    assert (meter.units, len(meter.latencies)) == (3, 2)


def test_a_picture_has_a_bar_for_each_variant_as_long_as_its_median(tmp_path: Path) -> None:
    bench = replace(_bench(), pictured=("per_second", "never_measured"))
    name = picture.put(bench, _samples().rows(), tmp_path)
    drawn = ET.parse(tmp_path / name).getroot()  # noqa: S314 - written above
    bars = [one for one in drawn.iter() if one.get("class") in {"bar", "weft"}]
    bare, weft = (float(str(one.get("width"))) for one in bars)
    assert weft / bare == pytest.approx(120 / 100, rel=0.01)
    assert "per second" in {one.text for one in drawn.iter()}
    assert picture.put(replace(bench, pictured=()), _samples().rows(), tmp_path) == ""
