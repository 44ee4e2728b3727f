"""`python -m benchmarks.collector`: CPU of the collector for each span, and bytes of memory.

The real binary with the real configuration; what stands behind it takes everything at once.
"""

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import psutil
from aiohttp import web

from benchmarks.collector.spans import SPANS, requests
from stack.home import ROOT
from stack.parts import find

PORTS = 14_300
TRACES = 20
"""In a request: 500 spans."""
AT_ONCE = 8
START_SECONDS = 20.0
DRAIN_SECONDS = 120.0
_SINK = """
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{debug: {{verbosity: basic}}}}
service:
  telemetry: {{logs: {{level: error}}, metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [debug]}}}}
"""


def main() -> None:
    """Measure in turn both ways of sampling, and what hiding costs; print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collector", description=__doc__)
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bodies = list(requests(max(1, options.spans // (TRACES * SPANS)), TRACES))
    for _ in range(options.rounds):
        for sampling, redacting in (("all", True), ("all", False), ("tail", True)):
            _say(asyncio.run(_measure(sampling, bodies, redacting=redacting)))


async def _measure(sampling: str, bodies: list[bytes], *, redacting: bool) -> str:
    spans = len(bodies) * TRACES * SPANS
    with tempfile.TemporaryDirectory() as folder, _sink(Path(folder)):
        async with _answers_all(), aiohttp.ClientSession() as http:
            with _collector(Path(folder), sampling, redacting=redacting) as process:
                await _ready(http)
                before, begun = _cpu(process), time.perf_counter()
                await _send(http, bodies)
                took = time.perf_counter() - begun
                if sampling == "all":
                    await _drained(http)
                cpu = _cpu(process) - before
                memory = psutil.Process(process.pid).memory_info().rss / 2**20
    name = sampling if redacting else f"{sampling}, nothing hidden"
    return (
        f"{name:<21}{spans:>9} spans {cpu * 1e6 / spans:>7.1f} us CPU a span, "
        f"{spans / cpu:>8.0f} spans a second a core, {spans / took:>8.0f} a second taken, "
        f"{memory:>6.0f} MiB"
    )


async def _send(http: aiohttp.ClientSession, bodies: list[bytes]) -> None:
    left = iter(bodies)
    headers = {"Content-Type": "application/x-protobuf"}

    async def sender() -> None:
        for body in left:
            while True:  # a refusal is kept by its sender, as the services do
                url = f"http://127.0.0.1:{PORTS + 1}/v1/traces"
                async with http.post(url, data=body, headers=headers) as answer:
                    if answer.status == web.HTTPOk.status_code:
                        break
                await asyncio.sleep(0.1)

    await asyncio.gather(*(sender() for _ in range(AT_ONCE)))


async def _ready(http: aiohttp.ClientSession) -> None:
    await _until(lambda: _status(http), START_SECONDS)


async def _status(http: aiohttp.ClientSession) -> bool:
    async with http.get(f"http://127.0.0.1:{PORTS + 2}/") as answer:
        return answer.status == web.HTTPOk.status_code


async def _drained(http: aiohttp.ClientSession) -> None:
    async def empty() -> bool:
        async with http.get(f"http://127.0.0.1:{PORTS + 3}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        sizes = [line for line in lines if line.startswith("otelcol_exporter_queue_size{")]
        return not any(float(line.split()[-1]) for line in sizes if "jaeger" in line)

    await _until(empty, DRAIN_SECONDS)


async def _until(holds: Callable[[], Awaitable[bool]], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                if await holds():
                    return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


def _cpu(process: subprocess.Popen[bytes]) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system


@contextmanager
def _collector(
    folder: Path, sampling: str, *, redacting: bool
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "WEFT_COLLECTOR_GRPC": f"127.0.0.1:{PORTS}",
        "WEFT_COLLECTOR_HTTP": f"127.0.0.1:{PORTS + 1}",
        "WEFT_COLLECTOR_HEALTH": f"127.0.0.1:{PORTS + 2}",
        "WEFT_COLLECTOR_ZIPKIN": f"127.0.0.1:{PORTS + 6}",
        "WEFT_COLLECTOR_FLUENT": f"127.0.0.1:{PORTS + 7}",
        "WEFT_COLLECTOR_METRICS_HOST": "127.0.0.1",
        "WEFT_COLLECTOR_METRICS_PORT": str(PORTS + 3),
        "WEFT_COLLECTOR_DATA": str(folder / "queue"),
        "WEFT_JAEGER_OTLP": f"127.0.0.1:{PORTS + 4}",
        "WEFT_PROMETHEUS_OTLP": f"http://127.0.0.1:{PORTS + 5}",
        "WEFT_LOKI_OTLP": f"http://127.0.0.1:{PORTS + 5}",
        "GOMEMLIMIT": "350MiB",
    }
    configs = []
    for name in ("config.yaml", "doors-usual.yaml", "today.yaml", f"sampling-{sampling}.yaml"):
        text = (ROOT / "otel-collector" / name).read_text(encoding="utf-8")
        if not redacting:
            text = text.replace(", redaction", "").replace(", transform/redact", "")
        configs.append(folder / name)
        configs[-1].write_text(text, encoding="utf-8")
    with _running([f"--config={config}" for config in configs], environment) as process:
        yield process


@contextmanager
def _sink(folder: Path) -> Iterator[None]:
    config = folder / "sink.yaml"
    config.write_text(_SINK.format(port=PORTS + 4), encoding="utf-8")
    with _running([f"--config={config}"], {}):
        yield


@contextmanager
def _running(
    arguments: list[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    found = find("otel-collector")
    if found is None:
        raise SystemExit("the collector is not built yet: make up")
    quiet = subprocess.DEVNULL
    with subprocess.Popen(  # noqa: S603 - the binary that was found
        [str(found.binaries["otelcol"]), *arguments],
        env={**os.environ, **environment},
        stdout=quiet,
        stderr=quiet,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def _answers_all() -> AsyncIterator[None]:
    async def taken(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{rest:.*}", taken)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORTS + 5).start()
    try:
        yield
    finally:
        await runner.cleanup()


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a command


if __name__ == "__main__":
    main()
