"""`python -m benchmarks.storage`: bytes on disk of a span, a log record and a sample.

The real Jaeger, Loki and Prometheus with their real configuration, each alone: it is sent a known
number, told to write all that it holds, ended, and its folder is measured in blocks of the disk.
"""

import argparse
import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from benchmarks.bench.machine import described
from benchmarks.collector.spans import SPANS, requests
from benchmarks.storage import telemetry
from stack.backing import jaeger, loki, prometheus
from stack.credentials import Credentials
from stack.home import Home
from stack.parts import find
from stack.ports import BIND, Ports
from stack.system import System

SECONDS = 120.0
STILL = 2.0
"""Seconds without a change after which a folder counts as written."""
TRACES = 8
"""In a request: 200 spans, as the collector sends them."""
SERIES = 500
EVERY = 5_000_000_000
"""Nanoseconds between two samples of a series."""


def main() -> None:
    """Measure each backend in turn; print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    parser.add_argument("--spans", type=int, default=20_000)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--samples", type=int, default=300_000)
    parser.add_argument("--port-base", type=int, default=14_000)
    options = parser.parse_args()
    _say(described({}))
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.make()
        ports = Ports(options.port_base)
        system = System(home, ports, Credentials(home.secrets, ports))
        _say(_spans(system, options.spans))
        _say(_records(system, options.records))
        _say(_samples(system, options.samples))


def _spans(system: System, wanted: int) -> str:
    bodies = list(requests(max(1, wanted // (TRACES * SPANS)), TRACES))
    number = len(bodies) * TRACES * SPANS
    folder = system.home.data("jaeger")
    with _running(system, jaeger):
        _send(system.ports.of("jaeger-otlp-http"), "/v1/traces", bodies)
        log = sum(_bytes(file) for file in folder.rglob("*.mem"))
    return (
        f"span in Jaeger: {_bytes(folder) / number:.0f} bytes; before its table is written"
        f" {log / number:.0f} in the log of writes ({number} spans)"
    )


def _records(system: System, number: int) -> str:
    folder = system.home.data("loki")
    with _running(system, loki):
        port = system.ports.of("loki")
        _send(port, "/otlp/v1/logs", telemetry.logs(number, 500, time.time_ns()))
        log = _bytes(folder / "wal")
        _ask(port, "POST", "/flush")
        chunks = folder / "chunks"
        _until_still(lambda: _bytes(chunks))
    index = _bytes(chunks / "index")
    kept = _bytes(chunks) - index
    return (
        f"log record in Loki: {kept / number:.0f} bytes, and {index / number:.1f} of index;"
        f" before its chunk is written {log / number:.0f} in the log of writes ({number} records)"
    )


def _samples(system: System, wanted: int) -> str:
    times = max(1, wanted // SERIES)
    folder = system.home.data("prometheus")
    with _running(system, prometheus, "--web.enable-admin-api"):
        port = system.ports.of("prometheus")
        bodies = telemetry.samples(SERIES, times, EVERY, time.time_ns())
        _send(port, "/api/v1/otlp/v1/metrics", bodies)
        log = _bytes(folder / "wal")
        number = _appended(port)
        _ask(port, "POST", "/api/v1/admin/tsdb/snapshot")
    snapshot = folder / "snapshots"
    kept = _bytes(snapshot)
    index = sum(_bytes(file) for file in snapshot.rglob("index"))
    return (
        f"sample in Prometheus: {kept / number:.2f} bytes, of them {index / number:.2f} index;"
        f" before its block is written {log / number:.2f} in the log of writes"
        f" ({number} samples, {SERIES} series of ours with {times} each)"
    )


def _appended(port: int) -> int:
    """Prometheus also scrapes itself, so it is asked how many samples there are."""
    lines = _ask(port, "GET", "/metrics").decode().splitlines()
    name = "prometheus_tsdb_head_samples_appended_total{"
    return round(sum(float(line.split()[-1]) for line in lines if line.startswith(name)))


def _send(port: int, path: str, bodies: Iterable[bytes]) -> None:
    for body in bodies:
        _ask(port, "POST", path, body)


def _ask(port: int, method: str, path: str, body: bytes = b"") -> bytes:
    headers = {"Content-Type": "application/x-protobuf"} if body else {}
    connection = http.client.HTTPConnection(BIND, port, timeout=SECONDS)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        told = answer.read()
    finally:
        connection.close()
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        raise SystemExit(f"{method} {path} was answered {answer.status}: {told[:500]!r}")
    return told


def _bytes(path: Path) -> int:
    """What a file or a folder takes of the disk, holes aside."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(512 * file.stat().st_blocks for file in files if file.is_file())


def _until_still(look: Callable[[], int]) -> None:
    """Wait until something is written and nothing more is for two seconds."""
    end, last, since = time.monotonic() + SECONDS, 0, time.monotonic()
    while not last or time.monotonic() - since < STILL:
        if time.monotonic() > end:
            raise SystemExit("the chunks are not written")
        time.sleep(0.2)
        if (now := look()) != last:
            last, since = now, time.monotonic()


@contextmanager
def _running(system: System, part: ModuleType, *more: str) -> Iterator[None]:
    """Start a backend and, in the end, let it end by itself: what it holds is written then."""
    name = part.__name__.rpartition(".")[2]
    found = find(name)
    if found is None:
        raise SystemExit(f"{name} is not built yet: make up")
    part.prepare(system, found)
    program = part.program(system, found)
    command = [*map(str, program.command), *more]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(  # noqa: S603 - the binary that was found
        command, env=dict(program.environment), stdout=quiet, stderr=quiet
    ) as process:
        try:
            end = time.monotonic() + SECONDS
            while program.why_not_ready() is not None:
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"{name} did not start")
                time.sleep(0.1)
            yield
            process.terminate()
            process.wait(program.stop_seconds)
        finally:
            process.kill()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
