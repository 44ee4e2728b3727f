"""The file of flags of a system, and the faults that can be switched on by it."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from stack import services, settings
from stack.home import write
from stack.system import System
from weft.flags.document import MAX_BYTES, Document, Flag, FlagsError, read, utc_now, written

_READABLE: Final = 0o644
"""A container's user is another one; natively nobody else gets into the folder's parent."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of fault. `unit` is what its value counts, "" if it has none.

    It is in `service` unless another is named, which `anywhere` allows; `alert` is what fires.
    """

    name: str
    service: str
    anywhere: bool = False
    unit: str
    usual: float = 1.0
    most: float = 1.0
    does: str
    alert: str


PERCENT: Final = "percent"
SECONDS: Final = "seconds"
RATE: Final = "rate"

FAULTS: Final = (
    Kind(
        name="payment-failures",
        service="card_provider",
        unit=PERCENT,
        usual=50,
        most=100,
        does="so many calls of the card provider are answered 503",
        alert="PeerFails",
    ),
    Kind(
        name="slow-inventory",
        service="inventory",
        unit=SECONDS,
        usual=2,
        most=4,  # it holds a transaction, and five idle seconds end one
        does="inventory takes so long for each request and command",
        alert="HandlingSlow",
    ),
    Kind(
        name="poison-messages",
        service="inventory",
        anywhere=True,
        unit=RATE,
        usual=1,
        most=100,
        does="so many messages a second that nobody can read, beside the others",
        alert="DeadLetters",
    ),
    Kind(
        name="memory-leak",
        service="orders",
        anywhere=True,
        unit=RATE,
        usual=8,
        most=64,
        does="so many MiB a second are taken and kept, up to 512",
        alert="MemoryGrows",
    ),
    Kind(
        name="cpu-burn",
        service="orders",
        anywhere=True,
        unit=PERCENT,
        usual=80,
        most=95,
        does="the event loop computes for so much of each second without giving way",
        alert="EventLoopBlocked",
    ),
    Kind(
        name="consumer-paused",
        service="payments",
        anywhere=True,
        unit="",
        does="messages wait in the service's queues",
        alert="ConsumerPaused",
    ),
    Kind(
        name="publish-failures",
        service="inventory",
        anywhere=True,
        unit=PERCENT,
        usual=100,
        most=100,
        does="so many messages are refused as by a full queue",
        alert="MessagesRefused",
    ),
    Kind(
        name="slow-reports",
        service="report_runner",
        unit=SECONDS,
        usual=15,
        most=60,
        does="every report takes so much longer",
        alert="ReportsSlow",
    ),
)


FEATURES: Final = {"volume-discount": "orders"}
"""Features by name, and the service that asks for each."""


def find(name: str) -> Kind | None:
    return next((kind for kind in FAULTS if kind.name == name), None)


def places(kind: Kind) -> list[str]:
    """Return the services in which the fault can be."""
    known = [one.name for one in services.SERVICES if one.broker]
    return known if kind.anywhere else [kind.service]


def current(system: System) -> Document:
    """Return what the file says; FlagsError if it is wrong."""
    try:
        with system.home.flags.open("rb") as file:
            return read(file.read(MAX_BYTES + 1), utc_now())
    except FileNotFoundError:
        return Document()
    except FlagsError as error:
        raise FlagsError(f"{system.home.flags}: {error}") from None


def change(system: System, edit: Callable[[dict[str, Flag]], None]) -> None:
    """Let `edit` change the flags, and replace the file at once. FlagsError as `current`."""
    with _alone(system):
        flags = dict(current(system).flags)
        edit(flags)
        document = Document(flags)
        read(written(document).encode(), utc_now())
        write(system.home.flags, written(document), mode=_READABLE)


def allowed(system: System) -> bool:
    """Whether the services of the system take faults."""
    return settings.faults(services.remembered(system))


@contextmanager
def _alone(system: System) -> Iterator[None]:
    """One command at a time changes the file: it takes a moment, so the others wait."""
    folder = system.home.flags.parent
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (folder.parent / "flags.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
