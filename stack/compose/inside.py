"""The system as its containers see it: each part by its name, on its usual port."""

from dataclasses import dataclass
from typing import Final

from stack.credentials import Credentials
from stack.ports import Ports
from stack.system import System

BIND: Final = "0.0.0.0"  # noqa: S104  # of a container: its networks are compose.yaml's
_HOSTS: Final = ("otel-collector", "jaeger", "loki", "rabbitmq")
"""The parts with more than one port."""


@dataclass(frozen=True)
class ContainerPorts(Ports):
    """The same ports, never moved, at hosts that are called as their parts."""

    base: int = 0

    def address(self, part: str) -> str:
        return f"{host(part)}:{self.of(part)}"


def host(part: str) -> str:
    """Return the container in which a part's port is: `jaeger` for `jaeger-otlp-grpc`."""
    return next((name for name in _HOSTS if part.startswith(name)), part)


def inside(system: System) -> System:
    """Return the same system, its secrets too, with the addresses that hold between containers."""
    ports = ContainerPorts()
    return System(system.home, ports, Credentials(system.home.secrets, ports))
