"""A little load on the running system, by the command that brings much of it."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from stack.backends.connect import Backends, connect
from stack.system import System as Stack


class Running(Protocol):
    environment: dict[str, str]


@pytest.fixture
async def backends(system: Running) -> AsyncIterator[Backends]:
    async with connect(Stack.load(system.environment)) as clients:
        yield clients


@pytest.mark.timeout(240)
async def test_a_run_reports_its_stages_and_links_traces_that_jaeger_has(
    system: Running, backends: Backends, tmp_path: Path
) -> None:
    options = ("--first-rate", "1", "--stages", "1", "--stage-seconds", "5", "--p99", "60")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "benchmarks.load", *options, "--report", str(tmp_path)],
        env=system.environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert f"report: {tmp_path / 'index.html'}" in done.stdout
    assert re.search(r"Aggregated +[1-9]\d* +0\(", done.stdout + done.stderr), done.stderr

    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert (tmp_path / "locust.html").exists()
    trace_ids = re.findall(r"/ops/traces/([0-9a-f]{32})", text)
    assert trace_ids, done.stdout
    trace = await backends.jaeger.settled(trace_ids[0], deadline=60)
    assert trace is not None
    assert {"gateway", "orders", "inventory", "payments"} <= {span.service for span in trace.spans}
