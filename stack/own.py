"""A service of one's own beside the running system: its rights, and its environment."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stack import addresses, backing, parts, ports, services
from stack.backing import postgres, rabbitmq
from stack.credentials import ADMIN, MONITORING, OPERATOR, READERS
from stack.launch import PortsTakenError
from stack.lock import lock
from stack.services import SERVICES, Service
from stack.supervisor import Supervisor, SupervisorError
from stack.system import System
from weft.settings import SettingsError

PORTS: Final = range(8120, 8130)
"""Where services of one's own listen, moved up by WEFT_PORT_BASE."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")
_TAKEN: Final = {
    *(service.name for service in SERVICES),
    *(word for service in SERVICES for word in service.publishes),  # others' events begin with it
    *(*backing.NAMES, *backing.OPTIONAL, ADMIN, MONITORING, OPERATOR, *READERS),
    *("weft", "amq", "guest", "public", "template0", "template1"),
}


def named(file: Path, name: str | None = None) -> str:
    """Return the service's name: that of its file, unless another is given. SettingsError."""
    wanted = name or file.stem.replace("-", "_")
    if not _NAME.fullmatch(wanted):
        raise SettingsError(f"--name {wanted}: expected a-z, 0-9 and _, a letter first, at most 31")
    if wanted in _TAKEN or wanted.startswith("pg_"):
        raise SettingsError(f"--name {wanted}: expected one that the system does not use itself")
    return wanted


def free_port(system: System) -> int:
    """Return the first free port for it. Raises PortsTakenError, with all of them."""
    wanted = [port + system.ports.base for port in PORTS]
    for port in wanted:
        if not ports.taken([("own", port)]):
            return port
    raise PortsTakenError(ports.taken([("own", port) for port in wanted]))


def admit(system: System, name: str, *, commands: bool) -> Service:
    """Give the service what every other has: a broker user of least rights, a role, a database.

    It may send events that begin with its name; commands too, if `commands`. What is there stays.
    Raises SupervisorError, BusyError, ProvisionError, BrokerError.
    """
    found = _server(system)
    service = Service(name=name, database=True, broker=True, publishes=(name,), commands=commands)
    with lock(system.home):
        system.credentials.make([name])
        postgres.add(system, found, name)
        rabbitmq.add(system, service)
    return service


def forget(system: System, name: str) -> None:
    """Delete what the service has: queues and dead letters, database, secrets.

    Raises SettingsError where there is no such service; else as `admit` does.
    """
    if not system.credentials.path(f"rabbitmq-{named(Path(name), name)}").exists():
        raise SettingsError(f"{name}: expected a service that `weft run` has run")
    found = _server(system)
    with lock(system.home):
        rabbitmq.remove(system, name)
        postgres.remove(system, found, name)
        system.credentials.remove(name)


def _server(system: System) -> parts.Found:
    if not Supervisor(system.home).answers():
        raise SupervisorError("the system does not run: start it with `weft up`")
    found = parts.find("postgres")
    if found is None:
        raise SupervisorError("PostgreSQL was there, and cannot be found now")
    return found


def environment(
    system: System, service: Service, port: int, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the environment to run it in: the caller's without the system's secrets, and what
    every service is given. The caller's own settings (WEFT_LOG_LEVEL=debug) go before those that
    the system was started with."""
    theirs = addresses.environment(system).keys() | services.STACK_ONLY
    inherited = {name: value for name, value in environ.items() if name not in theirs}
    settings = {
        name: value for name, value in inherited.items() if name.startswith(("WEFT_", "OTEL_"))
    }
    given = services.environment(
        system, service, 0, port, {**services.remembered(system), **settings}
    )
    twice = {name.removesuffix("_FILE") for name in given if name.endswith("_FILE")}
    return {name: value for name, value in {**inherited, **given}.items() if name not in twice}
