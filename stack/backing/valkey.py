"""Valkey or Redis: the gateway's counters and the cache of products. Bounded, and kept nowhere."""

from stack.home import write
from stack.parts import Found
from stack.ports import BIND
from stack.probe import redis
from stack.program import Program
from stack.system import System

_SERVER = """\
bind {bind}
port {port}
requirepass {password}
dir {data}
save ""
appendonly no
maxmemory 64mb
maxmemory-policy allkeys-lru
daemonize no
set-proc-title no
"""


def program(system: System, found: Found) -> Program:
    port = system.ports.of("valkey")
    password = system.credentials.password("valkey")
    return Program(
        id="valkey",
        name="valkey",
        kind="backing",
        port=port,
        command=(found.binaries["valkey-server"], system.credentials.path("valkey.conf")),
        probe=redis(port, password),
    )


def prepare(system: System, found: Found) -> None:
    """Write its configuration: among the secrets, because it holds the password."""
    del found
    data = system.home.data("valkey")
    data.mkdir(mode=0o700, exist_ok=True)
    write(system.credentials.path("valkey.conf"), configuration(system, BIND, str(data)))


def configuration(system: System, bind: str, data: str) -> str:
    """Return its configuration, with the password."""
    return _SERVER.format(
        bind=bind,
        port=system.ports.of("valkey"),
        password=system.credentials.password("valkey"),
        data=data,
    )
