"""The backing parts: each module prepares one part's files, and describes its program."""

from types import ModuleType
from typing import Final

from stack.backing import (
    alertmanager,
    collector,
    grafana,
    jaeger,
    loki,
    postgres,
    prometheus,
    rabbitmq,
    valkey,
)
from stack.parts import Found
from stack.program import Program
from stack.system import System

_MODULES: Final[dict[str, ModuleType]] = {
    "rabbitmq": rabbitmq,
    "postgres": postgres,
    "valkey": valkey,
    "otel-collector": collector,
    "jaeger": jaeger,
    "prometheus": prometheus,
    "loki": loki,
    "alertmanager": alertmanager,
}
NAMES: Final = tuple(_MODULES)
"""In the order to start them in: what takes longest first."""

_OPTIONAL: Final[dict[str, ModuleType]] = {"grafana": grafana}
OPTIONAL: Final = tuple(_OPTIONAL)
"""Started only where they are on this machine."""


def prepare(system: System, found: Found) -> Program:
    """Write what the part needs on disk, and return its program."""
    _module(found).prepare(system, found)
    return program(system, found)


def program(system: System, found: Found) -> Program:
    """Return the part's program."""
    described: Program = _module(found).program(system, found)
    return described


def _module(found: Found) -> ModuleType:
    return _MODULES.get(found.name) or _OPTIONAL[found.name]
