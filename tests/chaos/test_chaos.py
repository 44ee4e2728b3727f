"""The short form of `make chaos`: each process is killed once, under orders and other faults."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.run import Plan, run
from tests.chaos.schedule import SHORT
from tests.running import own_system
from tests.shared import Run

pytestmark = pytest.mark.alone


@pytest.fixture(autouse=True)
def turn(shared: Run) -> Iterator[None]:
    """Keep away what loads the machine as much: tests that have the shared system alone."""
    with shared.turn(alone=True):
        yield


@pytest.mark.timeout(400)
def test_no_kill_pause_or_trouble_of_the_broker_loses_an_order_or_does_it_twice(
    tmp_path: Path,
) -> None:
    plan = Plan(random.randrange(1_000_000), 33, rate=6, deadline=5, pace=SHORT)
    with own_system(plan.settings, whole=False) as system:
        outcome = asyncio.run(run(system, plan))
    written = report.save(outcome, tmp_path)
    assert outcome.held, f"{report.text(outcome)}\nreport: {written}"
    sums = report.orders(outcome)
    assert report.kills(outcome) >= 9, report.text(outcome)
    assert sums["accepted"] >= 30, report.text(outcome)
    assert sums["confirmed"] > 0, report.text(outcome)
