"""The search for the knee, with a system of a known capacity in the place of the real one."""

import http.server
import math
import threading
from dataclasses import dataclass, field, replace

import pytest

from benchmarks.load.backlog import Backlog
from benchmarks.load.journal import SLOWEST, Journal, Order, quantile
from benchmarks.load.plan import PACE, REST, SETTLE, Plan
from benchmarks.load.search import PRECISION, Search, Stage


def search(first: float = 10, highest: float = 500, stages: int = 12) -> Search:
    return Search(first=first, highest=highest, stages=stages, limit=2.0)


def stage(wanted: float, capacity: float, *, failed: int = 0, p99: float = 0.3) -> Stage:
    """What a system that finishes at most `capacity` orders a second would do."""
    finished = min(wanted, capacity)
    return Stage(
        wanted=wanted,
        accepted=finished,
        finished=finished,
        failed=failed,
        orders=int(finished * 20),
        p50=p99 / 3,
        p95=p99 / 2,
        p99=p99,
        p999=p99,
        cpu=min(1.0, wanted / capacity),
    )


def test_a_stage_whose_telemetry_does_not_keep_up_is_not_good() -> None:
    kept = stage(10, 20)
    assert kept.good(2.0)
    assert replace(kept, stored=0.95).good(2.0)
    assert not replace(kept, stored=0.94).good(2.0)


def run(looking: Search, capacity: float) -> list[float]:
    rates = []
    while (rate := looking.rate()) is not None:
        rates.append(rate)
        looking.add(stage(rate, capacity))
        assert len(rates) <= looking.stages
    return rates


@pytest.mark.parametrize("capacity", [3, 12, 47, 133, 410])
def test_the_knee_is_found_next_to_the_capacity(capacity: float) -> None:
    looking = search(stages=30)
    run(looking, capacity)
    knee = looking.knee()
    assert knee is not None
    assert capacity / PRECISION / 1.06 <= knee.wanted <= capacity / 0.95


def test_rates_grow_until_one_is_too_high_and_then_stay_between() -> None:
    looking = search()
    rates = run(looking, 60)
    top = rates.index(max(rates))
    assert rates[:top] == sorted(rates[:top])
    assert all(rates[top - 1] < rate < rates[top] for rate in rates[top + 1 :])
    assert looking.bounded


def test_a_system_that_keeps_up_with_the_highest_rate_has_no_knee_below() -> None:
    looking = search(highest=50)
    assert max(run(looking, 1000)) == 50
    assert not looking.bounded


def test_a_search_ends_after_its_number_of_stages() -> None:
    assert len(run(search(stages=3), 400)) == 3


def test_a_system_that_does_nothing_ends_the_search_without_a_knee() -> None:
    looking = search()
    run(looking, 0.001)
    assert looking.knee() is None


@pytest.mark.parametrize(
    "bad",
    [
        stage(20, 15),
        stage(20, 20, failed=10),
        stage(20, 20, p99=2.5),
        stage(20, 20, p99=math.inf),
    ],
    ids=["too few finished", "too many failed", "too slow", "nothing finished"],
)
def test_a_stage_is_bad_when(bad: Stage) -> None:
    assert stage(20, 20).good(2.0)
    assert not bad.good(2.0)


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50), (0.99, 99), (0.999, 100), (0.001, 1), (1.0, 100)]
)
def test_a_quantile_is_the_nearest_rank(share: float, value: float) -> None:
    assert quantile([float(number) for number in range(1, 101)], share) == value


def test_a_quantile_of_nothing_is_infinite() -> None:
    assert quantile([], 0.5) == math.inf


def order(seconds: float) -> Order:
    return Order(seconds, f"order-{seconds}", f"{int(seconds):032x}", "confirmed")


def test_a_journal_keeps_the_slowest_orders_of_all_stages() -> None:
    journal = Journal()
    for number in range(1000):
        if number % 100 == 0:
            journal.start()
        journal.finished(order(number * 7 % 1000))
    assert sorted(one.seconds for one in journal.slowest) == list(range(1000 - SLOWEST, 1000))
    assert journal.total == 1000


@dataclass
class Clock:
    now: float = 1000.0
    starts: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def start(self) -> None:
        self.starts.append(self.now)

    def measured(self) -> tuple[float, dict[str, float]]:
        return 0.5, {"orders": 0.4}


class Keeping:
    """Telemetry that keeps up."""

    def start(self) -> None:
        """Begin to count."""

    def stored(self) -> float:
        return 0.99


def test_a_plan_measures_each_stage_after_it_has_settled_and_rests_after_a_bad_one() -> None:
    clock, journal, looking = Clock(), Journal(), search(first=10, highest=40, stages=3)
    plan = Plan(looking, journal, clock, Keeping(), seconds=20, clock=clock)
    users = []
    while (now := plan.users()) is not None:
        users.append(now)
        for _ in range(min(round(now / PACE), 20)):
            journal.accepted()
            journal.finished(order(0.2))
        clock.now += 1

    assert [one.wanted for one in looking.done] == pytest.approx([10, 16, 25.6])
    assert [one.finished for one in looking.done] == pytest.approx([10, 16, 20], rel=0.06)
    assert [one.good(2.0) for one in looking.done] == [True, True, False]
    assert clock.starts == [1000 + SETTLE + number * (SETTLE + 20) for number in range(3)]
    assert set(users) == {30, 48, 77}


def test_a_plan_lets_the_system_recover_from_a_stage_that_was_too_much() -> None:
    clock, journal, looking = Clock(), Journal(), search(first=40, stages=2)
    plan = Plan(looking, journal, clock, Keeping(), seconds=20, clock=clock)
    resting = 0
    while (now := plan.users()) is not None:
        resting += now == 0
        clock.now += 1
    assert [one.wanted for one in looking.done] == [40, 20]
    assert resting == REST


METRICS = """
otelcol_exporter_queue_size{data_type="logs",exporter="otlp_http/loki"} 9000
otelcol_exporter_queue_size{data_type="traces",exporter="otlp_grpc/jaeger"} %d
otelcol_exporter_sent_spans_total{exporter="otlp_grpc/jaeger",otel_scope_version=""} %s
"""


def test_what_waits_for_jaeger_more_and_more_is_not_stored() -> None:
    tells = [(100, "1e+06"), (200, "1.0009e+06"), (50, "1.002e+06"), (60, "1.002e+06")]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (METRICS % tells.pop(0)).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            backlog = Backlog(f"http://127.0.0.1:{server.server_port}/metrics")
            assert backlog.stored() == pytest.approx(0.9)
            assert backlog.stored() == 1.0
            backlog.start()
        finally:
            server.shutdown()
            thread.join()
