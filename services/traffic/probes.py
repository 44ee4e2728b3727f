"""What is probed: an order, and a report, each through the public door to its good end."""

import asyncio
import contextlib
from typing import Final

import msgspec

from services.traffic.customer import Customer
from services.traffic.domain import MOST_URGENT, PROBE_DAY, PROBE_SKU, STOCK
from services.traffic.prober import Tell
from weft.errors import Unavailable

ORDER_WITHIN: Final = 10.0
"""Seconds from its placing in which a probe's order must be confirmed."""
REPORT_WITHIN: Final = 60.0
"""Seconds from its request in which a probe's report must be there: all workers may be busy."""


class OrderProbe:
    """An order of a product of its own is confirmed."""

    name = "order"

    def __init__(self, customer: Customer, *, within: float = ORDER_WITHIN) -> None:
        self.within = within
        self._customer = customer
        self._left = 0

    async def __call__(self, tell: Tell) -> None:
        """Place an order. Raises Unavailable, msgspec.DecodeError."""
        left, self._left = self._left, 0
        if left == 0:
            await self._customer.stock_up(PROBE_SKU, "Probe", STOCK)
            left = STOCK
        order_id = await self._customer.place(PROBE_SKU, 1, "tok_ok")
        tell("weft.order.id", order_id)
        status = await self._customer.end_of(order_id, self.within)
        tell("weft.order.outcome", status)
        if status != "confirmed":
            raise Unavailable("orders", f"the order was {status}")
        self._left = left - 1


class ReportProbe:
    """A report is made, and can be fetched; one that is not made in time is cancelled."""

    name = "report"

    def __init__(self, customer: Customer, *, within: float = REPORT_WITHIN) -> None:
        self.within = within
        self._customer = customer

    async def __call__(self, tell: Tell) -> None:
        """Ask for a report. Raises Unavailable, msgspec.DecodeError."""
        report_id = await self._customer.ask_report(PROBE_DAY, priority=MOST_URGENT)
        tell("weft.report.id", report_id)
        try:
            status = await self._customer.end_of_report(report_id, self.within)
        except (Unavailable, asyncio.CancelledError, msgspec.DecodeError):
            await self._cancel(report_id)
            raise
        tell("weft.report.outcome", status)
        if status != "finished":
            raise Unavailable("reports", f"the report was {status}")
        await self._customer.fetch_report(report_id)

    async def _cancel(self, report_id: str) -> None:
        """Let nobody make it any more; if that cannot be said, it expires."""
        with contextlib.suppress(Unavailable):
            await self._customer.cancel_report(report_id)
