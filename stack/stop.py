"""Stops the system: services first, so that they can hand on what they hold; then the rest."""

import re
import signal
import time
from collections.abc import Iterable
from typing import Final

from stack import processes
from stack.home import Home
from stack.supervisor import Supervisor, SupervisorError
from stack.system import System

STOP_SECONDS: Final = 60.0
_HELPERS_SECONDS: Final = 3.0
_SERVICE: Final = re.compile(r".+-\d+")


def down(system: System) -> bool:
    """Stop every process of the system, also without its supervisord; False if there was none."""
    home = system.home
    if not processes.marked(home):
        return False
    supervisor = Supervisor(home)
    try:
        _stop_supervised(supervisor)
    except SupervisorError:
        _stop_orphans(home)
    # What is not the supervisor's: epmd, which outlives the broker.
    processes.end((one.process for one in processes.marked(home)), signal.SIGTERM, _HELPERS_SECONDS)
    processes.kill_all(home)
    home.socket.unlink(missing_ok=True)
    return True


def stages(programs: Iterable[str]) -> list[list[str]]:
    """Return the programs in the order to stop them: each list side by side."""
    names = sorted(programs)
    running_services = [name for name in names if _SERVICE.fullmatch(name)]
    shippers = [name for name in names if name == "log-shipper"]
    rest = [name for name in names if name not in {*running_services, *shippers}]
    return [stage for stage in (running_services, shippers, rest) if stage]


def _stop_supervised(supervisor: Supervisor) -> None:
    for stage in stages(supervisor.processes()):
        supervisor.stop(stage, seconds=STOP_SECONDS)
    supervisor.shutdown()
    deadline = time.monotonic() + _HELPERS_SECONDS
    while supervisor.answers() and time.monotonic() < deadline:
        time.sleep(0.05)


def _stop_orphans(home: Home) -> None:
    """End what outlived a supervisord that was killed; one that hangs is killed first."""
    everything = processes.marked(home)
    processes.end((one.process for one in everything if not one.program), signal.SIGKILL, 5.0)
    roots = processes.roots(everything)
    for stage in stages(roots):
        number = {"postgres": signal.SIGINT}
        for name in stage:
            processes.end([roots[name]], number.get(name, signal.SIGTERM), 0)
        processes.wait([roots[name] for name in stage], STOP_SECONDS / 2)


__all__ = ["STOP_SECONDS", "down", "stages"]
