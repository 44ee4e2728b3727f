"""Asks every ten seconds, by an order of its own, whether customers would be served."""

import asyncio
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from services.traffic.customer import Customer
from services.traffic.domain import PROBE_SECONDS, PROBE_SKU, STOCK
from weft.errors import Unavailable
from weft.telemetry import counter, get_logger, histogram, mark_synthetic, record

WITHIN: Final = 10.0
"""Seconds from its placing in which a probe's order must be confirmed."""
_ORDER: Final = "order"

log = get_logger(__name__)
_attempts = counter("weft.probe.attempts", "{attempt}", "Probes by what and outcome.")
_duration = histogram("weft.probe.duration", "s", "From a probe's beginning to its good end.")


class Prober:
    """Makes a probe every `pace` seconds, whether the one before was good or not."""

    def __init__(self, customer: Customer, *, pace: float = PROBE_SECONDS) -> None:
        self._customer = customer
        self._pace = pace
        self._left = 0

    async def run(self) -> None:
        """Probe, again and again."""
        clock = asyncio.get_running_loop().time
        mark_synthetic()
        for outcome in ("ok", "failed"):
            _attempts.add(0, {"probe": _ORDER, "outcome": outcome})
        while True:
            due = clock() + self._pace
            outcome = await self._probe()
            _attempts.add(1, {"probe": _ORDER, "outcome": outcome})
            await asyncio.sleep(max(0.0, due - clock()))

    async def _probe(self) -> Literal["ok", "failed"]:
        clock = asyncio.get_running_loop().time
        began = clock()
        with record.internal("probe order") as call:
            call.set("weft.synthetic", True)
            try:
                async with asyncio.timeout(WITHIN):
                    status = await self._order(call.set)
            except (Unavailable, TimeoutError, msgspec.DecodeError) as error:
                why = str(error) or f"no end within {WITHIN:g} s"
                call.set("weft.why", why)
                log.warning("probe failed", **{"weft.why": why})
                self._left = 0
                return "failed"
            call.set("weft.order.outcome", status)
        if status != "confirmed":
            log.warning("probe failed", **{"weft.order.outcome": status})
            return "failed"
        _duration.record(clock() - began, {"probe": _ORDER})
        return "ok"

    async def _order(self, told: Callable[[str, object], None]) -> str:
        if self._left == 0:
            await self._customer.stock_up(PROBE_SKU, "Probe", STOCK)
            self._left = STOCK
        self._left -= 1
        order_id = await self._customer.place(PROBE_SKU, 1, "tok_ok")
        told("weft.order.id", order_id)
        return await self._customer.end_of(order_id, WITHIN)
