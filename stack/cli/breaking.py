"""The tour's fault: a flag breaks payments, an alert tells of it, it is mended, and all is well."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from rich.text import Text

from stack import flags
from stack.backends.gateway import Gateway, Notice, Placed
from stack.backends.http import BackendError
from stack.cli.ordering import SCOPES, follow_order
from stack.cli.output import Printer
from stack.cli.tour import Visit
from weft.flags.document import Fault, Flag, utc_now

FAULT: Final = "payment-failures"
PERCENT: Final = 80.0
ALERT: Final = "PeerFails"
WHERE: Final = "payments"
_LASTS: Final = timedelta(minutes=3)
"""After which the fault ends by itself, should nobody be there to mend it."""
_FIRES: Final = 90.0
_RESOLVES: Final = 120.0
"""Seconds within which people have to be told."""
_EVERY: Final = 1.0
_SKU: Final = "SKU-0001"


async def breaking(visit: Visit) -> None:
    """Show all of it. The fault is off again whatever happens. Raises BackendError."""
    system, printer = visit.backends.system, visit.printer
    if not flags.allowed(system):
        printer.line("this system takes no faults, so nothing is broken: WEFT_FAULTS=1 weft up")
        return
    since, told = datetime.now(UTC), _Teller(printer)
    customer = visit.backends.gateway("demo", SCOPES)
    operator = visit.backends.gateway("demo", ("ops",))
    until = utc_now() + _LASTS
    fault = Fault(service="card_provider", value=PERCENT, until=until)
    flags.change(system, lambda all_: all_.__setitem__(FAULT, fault))
    told.tell(f"broken: the card provider answers {PERCENT:g} % of its calls with 503")
    try:
        placed, notice = await _until_fires(customer, operator, since, told)
        told.show(notice)
        told.tell(f"{len(placed)} orders were accepted meanwhile")
    finally:
        flags.change(system, _mend)
    told.tell("mended: the flag is off")
    if placed:
        printer.line(f"  order {placed[-1].order_id}, placed while payments failed:")
        await follow_order(customer, placed[-1], told.began, printer)
    told.tell("the alert looks back a minute, so its end takes about that long ...")
    told.show(await _heard(operator, "resolved", since, _RESOLVES))


class _Teller:
    def __init__(self, printer: Printer) -> None:
        self.began = time.time()
        self._printer = printer

    def tell(self, text: str) -> None:
        self._printer.line(f"{time.time() - self.began:+6.1f} s  {text}", cut=False)

    def show(self, notice: Notice | None) -> None:
        if notice is None:
            self.tell("nothing is in the inbox yet: look again with `weft inbox`")
            return
        style = "green" if notice.status == "resolved" else "bold red"
        after = f"{notice.at.timestamp() - self.began:+6.1f} s  "
        self._printer.line(Text.assemble(after, "in the inbox: ", (notice.title, style)), cut=False)


def _mend(all_: dict[str, Flag]) -> None:
    all_.pop(FAULT, None)


async def _until_fires(
    customer: Gateway, operator: Gateway, since: datetime, told: _Teller
) -> tuple[list[Placed], Notice | None]:
    """Order once a second until people are told; return the orders, and what people are told."""
    placed: list[Placed] = []

    async def order() -> None:
        while True:
            with suppress(BackendError):
                placed.append(await customer.place(_SKU, 1, "tok_ok"))
            await asyncio.sleep(_EVERY)

    told.tell("a customer orders once a second; payments tries each card again and again ...")
    ordering = asyncio.create_task(order())
    try:
        notice = await _heard(operator, "firing", since, _FIRES)
    finally:
        ordering.cancel()
        await asyncio.gather(ordering, return_exceptions=True)
    return placed, notice


async def _heard(operator: Gateway, status: str, since: datetime, seconds: float) -> Notice | None:
    """Return what people are told of the alert, None if that takes longer than it may."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for notice in await operator.inbox():
            ours = f" {ALERT} ({WHERE})" in notice.title and notice.at > since
            if ours and notice.status == status:
                return notice
        await asyncio.sleep(_EVERY)
    return None
