"""What the host agent tells of its machine, from its very first sample on."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from stack.backends.connect import Backends, connect
from stack.system import System as Stack
from tests.end_to_end.outside import Running

DEADLINE = 60.0
BUSY = 1.5
"""Seconds of a processor in a second: one, and what two samples' times may be off."""


@pytest.fixture
async def backends(system: Running) -> AsyncIterator[Backends]:
    async with connect(Stack.load(system.environment)) as clients:
        yield clients


async def test_no_processor_was_ever_busier_than_one(backends: Backends) -> None:
    """Counters of the kernel are high at their first sample, and must not look like a jump."""
    rates = "sum by (cpu_logical_number) (rate(system_cpu_time_seconds_total[15s]))"
    params = {"query": f"max(max_over_time(({rates})[1h:1s]))"}
    end = time.monotonic() + DEADLINE
    while True:
        answer = await backends.prometheus.get("/api/v1/query", dict, params=params)
        if result := answer["data"]["result"]:
            break
        assert time.monotonic() < end, "the agent tells nothing of its processors"
        await asyncio.sleep(1)
    assert 0 < float(result[0]["value"][1]) < BUSY
