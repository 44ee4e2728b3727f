"""Changes how many instances of a service run."""

import time
from typing import Final

from stack import backing, changes, plan, ports, services
from stack.launch import START_SECONDS, PortsTakenError, StartError
from stack.lock import lock
from stack.program import Program
from stack.supervisor import Supervisor, SupervisorError
from stack.system import System

_TICK: Final = 0.2
_HEARD: Final = 1.0
"""Seconds until the gateway has read that an instance goes: twice as long as between its looks."""


def scale(system: System, service: services.Service, count: int) -> None:
    """Run `count` instances, and return when they are ready. Raises as `launch.up` does."""
    supervisor = Supervisor(system.home)
    if not supervisor.answers():
        raise SupervisorError("the system does not run: start it with `weft up`")
    with lock(system.home):
        _check_ports(system, service, count)
        before = services.instances(system)
        # Nobody is sent to an instance that is not ready yet, or is about to go.
        staying = min(count, before[service.name])
        services.write_addresses(system, {**before, service.name: staying})
        if staying < before[service.name]:
            time.sleep(_HEARD)
        services.set_instances(system, service.name, count)
        programs = plan.programs(system)
        supervisor.configure(programs)
        supervisor.apply()
        backing.prometheus.write_targets(system)
        _wait(system, supervisor, [one for one in programs if one.name == service.name])
        services.write_addresses(system, services.instances(system))
    changes.scaled(system, service.name, count)


def _check_ports(system: System, service: services.Service, count: int) -> None:
    if service.shares_port:
        return
    extra = range(services.instances(system)[service.name], count)
    wanted = [(service.name, services.port(system, service, instance)) for instance in extra]
    if taken := ports.taken(wanted):
        raise PortsTakenError(taken)


def _wait(system: System, supervisor: Supervisor, programs: list[Program]) -> None:
    deadline = time.monotonic() + START_SECONDS
    for program in programs:
        while (answer := program.why_not_ready()) is not None:
            process = supervisor.processes().get(program.id)
            if (process is not None and process.dying) or time.monotonic() > deadline:
                raise StartError(program.id, answer, system.home.log(program.id))
            time.sleep(_TICK)
