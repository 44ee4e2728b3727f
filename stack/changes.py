"""What an operator changes in the running system, told to the collector as events."""

from contextlib import suppress
from importlib.metadata import version
from typing import Final

from stack.home import write
from stack.log_shipper.collector import AwayError, Collector
from stack.log_shipper.records import Fact, Record
from stack.system import System

NAME: Final = "stack"
"""The service.name of these records."""


def scaled(system: System, service: str, instances: int) -> None:
    """Tell that so many instances of a service run from now on."""
    facts: dict[str, Fact] = {"weft.scale.service": service, "weft.scale.instances": instances}
    _tell(system, "weft.change.scale", "service scaled", facts)


def deployed(system: System) -> None:
    """Tell that this version runs from now on, unless it did so before."""
    now = version("weft")
    if write(system.home.config / "deployed", now):
        _tell(system, "weft.change.deploy", "version deployed", {"weft.deploy.version": now})


def _tell(system: System, event: str, message: str, facts: dict[str, Fact]) -> None:
    """A change does not fail because nobody could be told of it."""
    collector = Collector(system.ports.url("otel-collector-http"), "local", version("weft"))
    with suppress(AwayError):
        collector.send(NAME, [Record(message, facts=tuple(facts.items()), event=event)], scope=NAME)
