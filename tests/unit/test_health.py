"""Readiness is what the components say, asked at once and within a second."""

import asyncio
import time

import pytest

from weft.errors import Unavailable
from weft.health import _STARTED, Dependency, Health, Report, exposition


class Part:
    """A component that answers in a way of its own."""

    def __init__(self, name: str, error: Exception | None = None, delay: float = 0.0) -> None:
        self.name = name
        self.error = error
        self.delay = delay
        self.asked = 0

    async def start(self) -> None: ...

    async def check(self) -> None:
        self.asked += 1
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error

    async def stop(self) -> None: ...


async def test_a_service_is_ready_when_all_its_components_answer() -> None:
    report = await Health("orders", [Part("postgres"), Part("rabbitmq")]).report()
    assert report.status == "ok"
    assert [(d.name, d.ok, d.error) for d in report.dependencies] == [
        ("postgres", True, None),
        ("rabbitmq", True, None),
    ]


async def test_one_component_that_does_not_answer_makes_it_unavailable() -> None:
    away = Part("rabbitmq", Unavailable("rabbitmq", "connection refused"))
    report = await Health("orders", [Part("postgres"), away]).report()
    assert report.status == "unavailable"
    assert [d.error for d in report.dependencies] == [None, "connection refused"]


async def test_a_component_that_hangs_is_given_a_second_and_holds_up_nobody() -> None:
    began = time.monotonic()
    report = await Health("orders", [Part("a", delay=60), Part("b", delay=60), Part("c")]).report()
    assert time.monotonic() - began < 30
    assert [d.ok for d in report.dependencies] == [False, False, True]
    assert report.dependencies[0].error == "no answer in 1 s"
    assert 900 < report.dependencies[0].latency_ms < 30_000


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("amqp://weft:s3cret@127.0.0.1:5672 refused"),
        Unavailable("rabbitmq", "amqp://weft:s3cret@127.0.0.1:5672 refused"),
        ValueError("s3cret"),
    ],
)
async def test_an_error_tells_no_secret(error: Exception) -> None:
    report = await Health("orders", [Part("rabbitmq", error)]).report()
    assert "s3cret" not in repr(report)
    assert report.dependencies[0].error


async def test_many_who_ask_at_once_share_one_answer() -> None:
    part = Part("postgres", delay=0.02)
    health = Health("orders", [part])
    reports = await asyncio.gather(*(health.report() for _ in range(50)))
    assert part.asked == 1
    assert {report.status for report in reports} == {"ok"}


async def test_one_who_stops_waiting_does_not_stop_the_others() -> None:
    health = Health("orders", [Part("postgres", delay=0.05)])
    impatient = asyncio.create_task(health.report())
    patient = asyncio.create_task(health.report())
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).status == "ok"


async def test_a_component_that_comes_back_is_seen() -> None:
    part = Part("postgres", Unavailable("postgres", "starting"))
    health = Health("orders", [part])
    assert (await health.report()).status == "unavailable"
    part.error = None
    async with asyncio.timeout(60):
        while (await health.report()).status != "ok":  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)


def test_the_metrics_are_prometheus_text() -> None:
    report = Report(
        "unavailable", (Dependency("postgres", True, 1.5), Dependency('odd"\n', False, 2.0, "away"))
    )
    assert exposition("orders", report).splitlines() == [
        "# HELP weft_up 1: the instance answers.",
        "# TYPE weft_up gauge",
        'weft_up{service="orders"} 1',
        "# HELP process_start_time_seconds Since the epoch.",
        "# TYPE process_start_time_seconds gauge",
        f'process_start_time_seconds{{service="orders"}} {_STARTED:.15g}',
        "# HELP weft_ready 1: every dependency answers.",
        "# TYPE weft_ready gauge",
        'weft_ready{service="orders"} 0',
        "# HELP weft_dependency_ready 1: the dependency answers.",
        "# TYPE weft_dependency_ready gauge",
        'weft_dependency_ready{service="orders",dependency="postgres"} 1',
        r'weft_dependency_ready{service="orders",dependency="odd\"\n"} 0',
        "# HELP weft_dependency_check_seconds Duration of the last check.",
        "# TYPE weft_dependency_check_seconds gauge",
        'weft_dependency_check_seconds{service="orders",dependency="postgres"} 0.0015',
        r'weft_dependency_check_seconds{service="orders",dependency="odd\"\n"} 0.002',
    ]
