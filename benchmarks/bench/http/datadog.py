"""The same server with ddtrace. Runs on the packages of ddtrace.lock."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from benchmarks.bench.http.servers import serving
from benchmarks.bench.subject import Meter, Place


@asynccontextmanager
async def datadog(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Serve with spans, sent to the sink as to an agent."""
    os.environ |= {
        "DD_TRACE_AGENT_URL": place.telemetry,
        "DD_SERVICE": "bench",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    }
    from ddtrace import patch  # noqa: PLC0415 - it reads the environment
    from ddtrace.contrib.aiohttp import trace_app  # noqa: PLC0415
    from ddtrace.trace import tracer  # noqa: PLC0415

    patch(aiohttp=True)

    app = web.Application()
    trace_app(app, tracer, service="bench")
    async with serving(meter, application=app):
        yield
    tracer.shutdown()
