"""Is the service alive, and do its dependencies answer: /healthz, /readyz, /metrics."""

import asyncio
import re
import time
from collections.abc import Iterable, Sequence

import msgspec

from weft.component import Component
from weft.errors import Unavailable
from weft.http import Reply, Request, Routes
from weft.telemetry import accounting

CHECK_DEADLINE = 1.0
"""Seconds for each dependency's answer; all are asked at once."""

FRESH = 0.25
"""Seconds for which a report is given again, so that a flood of probes is none behind us."""

_CREDENTIALS = re.compile(r"//[^/@\s]*@")
_ERROR_LENGTH = 200
_STARTED = time.time()
"""When this process was started, about: the same for as long as it lives."""


class Dependency(msgspec.Struct, frozen=True):
    """How one component is: `error` says why it does not answer, without secrets."""

    name: str
    ok: bool
    latency_ms: float
    error: str | None = None


class Report(msgspec.Struct, frozen=True):
    """`status` is ok or unavailable."""

    status: str
    dependencies: tuple[Dependency, ...] = ()


class Health:
    """Asks the components of the service `name`; the list may still grow."""

    def __init__(self, name: str, components: Sequence[Component]) -> None:
        self._name = name
        self._components = components
        self._asking: asyncio.Task[Report] | None = None
        self._report: Report | None = None
        self._reported_at = 0.0

    async def report(self) -> Report:
        """Return how all components are now; callers at the same time share one answer."""
        if self._report and time.monotonic() - self._reported_at < FRESH:
            return self._report
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Report:
        dependencies = tuple(await asyncio.gather(*map(_look_at, self._components)))
        ready = all(each.ok for each in dependencies)
        self._report = Report("ok" if ready else "unavailable", dependencies)
        self._reported_at = time.monotonic()
        return self._report

    def _asked(self, _: asyncio.Task[Report]) -> None:
        self._asking = None

    async def alive(self, _: Request) -> Report:
        """Answer /healthz: whoever answers is alive."""
        return Report("ok")

    async def ready(self, request: Request) -> Reply[Report]:
        """Answer /readyz: 200, or 503 while a dependency does not answer."""
        report = await self.report()
        away = [each.name for each in report.dependencies if not each.ok]
        if away:
            request.set("weft.dependencies.away", ",".join(away))
            return Reply(report, 503, {"Retry-After": "1"})
        return Reply(report)

    async def metrics(self, _: Request) -> Reply[bytes]:
        """Answer /metrics in the Prometheus text format."""
        report = await self.report()
        text = exposition(self._name, report) + accounting.exposition(_escaped(self._name))
        return Reply(text.encode(), content_type="text/plain; version=0.0.4; charset=utf-8")


def routes(name: str, components: Sequence[Component]) -> Routes:
    """Return the probes of the service `name` over `components` (a list that may still grow)."""
    health = Health(name, components)
    probes = Routes()
    probes.get("/healthz", public=True, probe=True, summary="Is it alive?")(health.alive)
    probes.get(
        "/readyz",
        public=True,
        probe=True,
        summary="Do its dependencies answer?",
        answers={503: Report},
    )(health.ready)
    probes.get("/metrics", public=True, probe=True, summary="Up and readiness")(health.metrics)
    return probes


def exposition(name: str, report: Report) -> str:
    """Return `report` in the Prometheus text format."""
    service = f'service="{_escaped(name)}"'
    each = [(f'{service},dependency="{_escaped(d.name)}"', d) for d in report.dependencies]
    lines = [
        *_gauge("weft_up", "1: the instance answers.", [(service, 1)]),
        *_gauge("process_start_time_seconds", "Since the epoch.", [(service, _STARTED)]),
        *_gauge(
            "weft_ready",
            "1: every dependency answers.",
            [(service, int(report.status == "ok"))],
        ),
        *_gauge(
            "weft_dependency_ready",
            "1: the dependency answers.",
            [(labels, int(d.ok)) for labels, d in each],
        ),
        *_gauge(
            "weft_dependency_check_seconds",
            "Duration of the last check.",
            [(labels, d.latency_ms / 1000) for labels, d in each],
        ),
    ]
    return "\n".join(lines) + "\n"


async def _look_at(component: Component) -> Dependency:
    began = time.perf_counter()
    error: str | None = None
    try:
        async with asyncio.timeout(CHECK_DEADLINE):
            await component.check()
    except TimeoutError:
        error = f"no answer in {CHECK_DEADLINE:g} s"
    except Unavailable as away:
        error = _CREDENTIALS.sub("//", away.why)[:_ERROR_LENGTH]
    except Exception as caught:  # noqa: BLE001 - whatever it is, it is the answer
        # Its text may hold anything, also a password.
        error = type(caught).__name__
    milliseconds = round((time.perf_counter() - began) * 1000, 3)
    return Dependency(component.name, error is None, milliseconds, error)


def _gauge(name: str, text: str, values: Iterable[tuple[str, float]]) -> list[str]:
    samples = [f"{name}{{{labels}}} {value:.15g}" for labels, value in values]
    return [f"# HELP {name} {text}", f"# TYPE {name} gauge", *samples] if samples else []


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
