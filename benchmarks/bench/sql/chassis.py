"""Weft's Database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry import trace

from benchmarks.bench import chassis
from benchmarks.bench.sql.clients import SCHEMA, SELECT, SKU
from benchmarks.bench.subject import Meter, Place, working


@asynccontextmanager
async def database(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Read the row. What is done outside of any trace makes no span, so it is done in one."""
    async with chassis.telemetry(), chassis.database(place, [SCHEMA]) as db:

        async def read() -> None:
            with trace.get_tracer("bench").start_as_current_span("read"):
                while True:
                    await db.fetchval(SELECT, SKU)
                    meter.units += 1

        async with working(read()):
            yield
