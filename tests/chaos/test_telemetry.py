"""The short form of `make chaos TELEMETRY=1`, on the run's system."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.chaos import telemetry
from tests.running import System
from tests.shared import Run


@pytest.fixture(autouse=True)
def turn(shared: Run) -> Iterator[None]:
    """Have the shared system alone: parts of it are taken away."""
    with shared.turn(alone=True):
        yield


@pytest.mark.timeout(300)
def test_what_completed_requests_told_is_stored_through_outages_and_kills(system: System) -> None:
    plan = telemetry.Plan(rate=25, away=3, sample=100, drain=120)
    outcome = asyncio.run(telemetry.run(system.environment, system.url("gateway"), plan))
    assert outcome.held, telemetry.text(outcome)
    assert len(outcome.kills) == 7
    assert len(outcome.answered) > 50, telemetry.text(outcome)
