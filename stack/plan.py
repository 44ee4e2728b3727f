"""All programs of a system: those of the parts that are there, and of the services."""

from collections.abc import Collection

from stack import backing, log_shipping, parts, services
from stack.program import Program
from stack.system import System


def found(without: Collection[str] = ()) -> list[parts.Found]:
    """Return the backing parts that are on this machine, but those in `without`."""
    names = (name for name in (*backing.NAMES, *backing.OPTIONAL) if name not in without)
    return [one for one in map(parts.find, names) if one is not None]


def programs(system: System, *, without: Collection[str] = ()) -> list[Program]:
    """Return what should run, and write nothing: what `status` needs to know."""
    return [
        *(backing.program(system, one) for one in found(without)),
        log_shipping.program(system),
        *services.programs(system),
    ]
