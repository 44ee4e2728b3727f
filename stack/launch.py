"""Starts the system: installs what is missing, starts each part as soon as it is there."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from stack import backing, changes, log_shipping, parts, plan, ports, processes, services, stop
from stack.backing import postgres
from stack.building import Builder
from stack.home import write
from stack.lock import lock
from stack.program import Program
from stack.settings import BASE_FILE
from stack.supervisor import Process, Supervisor
from stack.system import System

FIRST: Final = ("rabbitmq", "postgres", "valkey", "otel-collector")
"""What the services are started after; the other parts may come while orders are taken."""
START_SECONDS: Final = 180.0
"""What a program may take to be ready, on a machine that is busy compiling."""
_TRIES: Final = 3
"""A program that ended twice before it was ready is not waited for."""
_TICK: Final = 0.2
_LAST_LINES: Final = 15


class StartError(Exception):
    """A program did not start: its `log`, and the last lines of it."""

    def __init__(self, name: str, why: str, log: Path) -> None:
        super().__init__(f"{name}: {why}")
        self.log = log
        self.last_lines = last_lines(log)


class PortsTakenError(Exception):
    """Ports that the system needs belong to others."""

    def __init__(self, taken: list[ports.Taken]) -> None:
        super().__init__("; ".join(map(str, taken)))
        self.taken = taken


class NoSpaceError(Exception):
    """What is missing does not fit on the disk."""


class Report(Protocol):
    """Who watches the start."""

    def will_install(self, plan: parts.Plan) -> None: ...
    def installing(self, builder: Builder) -> None: ...
    def installed(self, name: str) -> None: ...
    def ready(self, program: Program, seconds: float) -> None: ...
    def takes_orders(self) -> None: ...


def up(system: System, report: Report) -> None:
    """Start what does not run yet, and return when everything is ready.

    Whatever goes wrong leaves nothing running that did not run before. Raises StartError,
    PortsTakenError, NoSpaceError, BusyError, ProvisionError, SupervisorError, SettingsError,
    parts.PartFailed, parts.UnsupportedHost.
    """
    missing = parts.missing()
    if missing:
        parts.check_host()
        wanted = parts.plan(missing)
        report.will_install(wanted)
        if not wanted.fits:
            raise NoSpaceError("there is not enough free disk to install what is missing")
    supervisor = Supervisor(system.home)
    ran_before = supervisor.answers()
    if not ran_before:
        processes.kill_all(system.home)
        _check_ports(system)
    system.home.check()
    system.home.make()
    with lock(system.home):
        system.credentials.make([service.name for service in services.SERVICES])
        services.remember(system)
        services.choose_traffic(system)
        services.write_addresses(system, services.instances(system))
        write(system.home.path / BASE_FILE, str(system.ports.base))
        with _nothing_left(system, unless=ran_before), Builder(system.home, missing) as builder:
            _Launch(system, supervisor, report, builder).run()
    changes.deployed(system)


def last_lines(log: Path) -> list[str]:
    """Return the end of a log file."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    except FileNotFoundError:
        return []


@contextmanager
def _nothing_left(system: System, *, unless: bool) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if not unless:
            stop.down(system)
        raise


def _check_ports(system: System) -> None:
    absent = {name for name in backing.OPTIONAL if parts.find(name) is None}
    wanted = [(name, port) for name, port in system.ports.all().items() if name not in absent]
    for service in services.SERVICES:
        instances = range(services.instances(system)[service.name])
        wanted += [(service.name, services.port(system, service, each)) for each in instances]
    if taken := ports.taken(dict.fromkeys(wanted)):
        raise PortsTakenError(taken)


class _Launch:
    def __init__(
        self, system: System, supervisor: Supervisor, report: Report, builder: Builder
    ) -> None:
        self._system = system
        self._supervisor = supervisor
        self._report = report
        self._builder = builder
        self._programs: dict[str, Program] = {}
        self._since: dict[str, float] = {}
        self._starts_before: dict[str, int] = {}
        self._ready: set[str] = set()
        self._pending = set(builder.pending)
        self._found: dict[str, parts.Found] = {}
        self._services_started = False
        self._takes_orders = False

    def run(self) -> None:
        while True:
            self._builder.check()
            pending = set(self._builder.pending)
            self._start_what_is_new(pending)
            self._watch()
            if pending:
                self._report.installing(self._builder)
            elif self._ready >= {*backing.NAMES, *self._programs, *self._service_ids()}:
                return
            time.sleep(_TICK)

    def _service_ids(self, *, without: str = "") -> set[str]:
        programs = services.programs(self._system)
        return {program.id for program in programs if program.name != without}

    def _start_what_is_new(self, pending: set[str]) -> None:
        for name in sorted(self._pending - pending):
            self._report.installed(name)
        self._pending = pending
        new = [backing.prepare(self._system, found) for found in self._look(pending)]
        if not self._services_started and self._found.keys() >= set(FIRST) and self._provisioned():
            self._services_started = True
            new.append(log_shipping.program(self._system))
        if self._services_started:
            new += self._due(pending)
        if new:
            self._start(new)

    def _due(self, pending: set[str]) -> list[Program]:
        """Return the services to be started. Traffic comes last: it must not slow down a build, nor
        fill the collector's queues with what no backend takes yet."""
        held_back = services.TRAFFIC if pending else ""
        wanted = [one for one in services.programs(self._system) if one.name != held_back]
        return [one for one in wanted if one.id not in self._programs]

    def _look(self, pending: set[str]) -> list[parts.Found]:
        """Return the parts that were not seen before."""
        if self._found.keys() | pending >= set(backing.NAMES):
            return []
        new = plan.found({*pending, *self._found})
        self._found |= {found.name: found for found in new}
        if lost := set(backing.NAMES) - pending - self._found.keys():
            name = min(lost)
            raise StartError(name, "was there, and cannot be found now", self._builder.log(name))
        return new

    def _start(self, new: list[Program]) -> None:
        self._programs |= {program.id: program for program in new}
        self._since |= {program.id: time.monotonic() for program in new}
        self._supervisor.configure(list(self._programs.values()))
        if self._supervisor.answers():
            self._supervisor.apply()
        else:
            self._supervisor.start()

    def _provisioned(self) -> bool:
        """Whether the services' databases are there; made as soon as PostgreSQL answers."""
        found = self._found["postgres"]
        databases = [service.name for service in services.SERVICES if service.database]
        if not postgres.is_provisioned(self._system, found, databases):
            if backing.program(self._system, found).why_not_ready() is not None:
                return False
            postgres.provision(self._system, found, databases)
        return True

    def _watch(self) -> None:
        if not self._programs:
            return
        known = self._supervisor.processes()
        waiting = [one for one in self._programs.values() if one.id not in self._ready]
        with ThreadPoolExecutor(max(1, len(waiting))) as pool:
            answers = list(pool.map(self._ask, waiting))
        for program, answer in zip(waiting, answers, strict=True):
            process = known.get(program.id)
            if answer is None and process is not None and process.alive:
                self._ready.add(program.id)
                self._report.ready(program, time.monotonic() - self._since[program.id])
            else:
                self._check(program, process, answer)
        needed = {*FIRST, *self._service_ids(without=services.TRAFFIC)}
        if not self._takes_orders and self._ready >= needed:
            self._takes_orders = True
            self._report.takes_orders()

    def _ask(self, program: Program) -> str | None:
        """Services cannot be ready before the parts they need, and would log each question."""
        if program.kind == "service" and not self._ready.issuperset(FIRST):
            return f"waits for {', '.join(sorted(set(FIRST) - self._ready))}"
        return program.why_not_ready()

    def _check(self, program: Program, process: Process | None, answer: str | None) -> None:
        log = self._system.home.log(program.id)
        if process is not None:
            before = self._starts_before.setdefault(program.id, max(0, process.starts - 1))
            if process.starts - before >= _TRIES:
                raise StartError(program.id, process.error or "ends soon after its start", log)
        if time.monotonic() - self._since[program.id] > START_SECONDS:
            raise StartError(program.id, f"not ready after {START_SECONDS:.0f} s: {answer}", log)
