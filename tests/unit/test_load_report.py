"""The report of a run under load, and the command line that leads to it."""

from pathlib import Path

import pytest

from benchmarks.load import page, target
from benchmarks.load.__main__ import command
from benchmarks.load.journal import Order
from benchmarks.load.search import Search, Stage

HERE = target.Target("http://127.0.0.1:8080", "http://127.0.0.1:16686", "", [], [])


def stage(wanted: float, finished: float, cpu: float) -> Stage:
    return Stage(
        wanted=wanted,
        accepted=finished,
        finished=finished,
        failed=0,
        orders=200,
        p50=0.1,
        p95=0.2,
        p99=0.3,
        p999=1.5,
        cpu=cpu,
        cores={"orders": 0.7, "locust": 0.4, "valkey": 0.001},
    )


def searched(*stages: Stage) -> Search:
    return Search(first=10, highest=100, stages=9, limit=2.0, done=list(stages))


def test_the_verdict_names_the_knee_and_what_is_used_up_beyond_it() -> None:
    said = page.verdict(searched(stage(10, 10, 0.4), stage(16, 12, 0.97)))
    assert said.startswith("The knee: 10.0 orders finished a second, p99 300 ms.")
    assert "at 16.0 wanted, the machine's" in said
    assert "cores are full (orders 0.70, locust 0.40)" in said


def test_the_verdict_claims_no_knee_where_none_was_met() -> None:
    assert "The knee lies above" in page.verdict(searched(stage(10, 10, 0.4)))
    assert page.verdict(searched(stage(10, 2, 1.0))).startswith("No knee")


def test_the_page_links_the_slowest_traces_slowest_first(tmp_path: Path) -> None:
    slowest = [Order(0.5, "one", "1" * 32, "confirmed"), Order(3, "two", "2" * 32, "<rejected>")]
    written = page.write(tmp_path, searched(stage(10, 10, 0.4)), slowest, HERE, details=True)
    text = written.read_text(encoding="utf-8")
    assert text.index("2" * 32) < text.index("1" * 32)
    assert f'href="http://127.0.0.1:8080/ops/traces/{"1" * 32}"' in text
    assert f'href="http://127.0.0.1:16686/api/traces/{"1" * 32}"' in text
    assert "weft trace two" in text
    assert "<rejected>" not in text
    assert 'href="locust.html"' in text
    assert "<!--" not in text


def test_a_run_without_locusts_page_writes_its_report(tmp_path: Path) -> None:
    given = command(["--report", str(tmp_path), "--stages", "2"], "http://127.0.0.1:8080")
    assert "--headless" in given
    assert given[given.index("--html") + 1] == str(tmp_path / "locust.html")
    assert given[given.index("--host") + 1] == "http://127.0.0.1:8080"


def test_locusts_page_listens_on_loopback_alone() -> None:
    given = command(["--page"], "http://127.0.0.1:8080")
    assert "--headless" not in given
    assert "--page" not in given
    assert given[given.index("--web-host") + 1] == "127.0.0.1"


def test_another_machine_is_not_put_under_load() -> None:
    with pytest.raises(target.NotLocalError):
        target.prepare("http://192.0.2.1:8080")
