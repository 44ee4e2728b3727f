"""`weft order`: place an order as a customer, and watch it to its end."""

import time
from collections.abc import Sequence
from datetime import datetime

import msgspec
from rich.text import Text

from stack.backends.connect import Backends
from stack.backends.gateway import Gateway, Order, OrderEvent, Placed
from stack.cli.output import FAILED, Printer

SCOPES = ("orders:read", "orders:write")
_DEADLINE = 60.0
_STYLES = {"confirmed": "bold green", "rejected": "bold red"}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What to order, by whom and how it is paid."""

    sku: str
    quantity: int
    payment: str
    subject: str


async def order(backends: Backends, wish: Wish, *, follow: bool, as_json: bool) -> int:
    """Place the order; return 0 if it was accepted, or with `follow` if it was confirmed."""
    printer = Printer()
    gateway = backends.gateway(wish.subject, SCOPES)
    begun = time.time()
    placed = await gateway.place(wish.sku, wish.quantity, wish.payment)
    if not as_json:
        printer.line(f"order {placed.order_id} placed: {wish.quantity} x {wish.sku}")
    last = None
    if follow:
        last = await follow_order(gateway, placed, begun, None if as_json else printer)
    if as_json:
        printer.json(_json(placed, last, time.time() - begun))
    else:
        _tell_trace(printer, placed)
    return 0 if not follow or (last is not None and last.status == "confirmed") else FAILED


async def follow_order(
    gateway: Gateway, placed: Placed, begun: float, printer: Printer | None
) -> Order | None:
    """Return the order as it was last seen; say what happens to it if there is a printer."""
    last, told = None, 0
    async for state in gateway.follow(placed.order_id, deadline=_DEADLINE):
        last = state
        if printer:
            _tell_events(printer, state.events[told:], begun)
            told = len(state.events)
    if printer:
        _tell_end(printer, last)
    return last


def _tell_events(printer: Printer, events: Sequence[OrderEvent], begun: float) -> None:
    for event in events:
        try:
            at = datetime.fromisoformat(event.at).astimezone()
        except ValueError:
            printer.line(f"  {event.at}  {event.type}")
            continue
        since = f"{at.timestamp() - begun:+.3f} s"
        printer.line(f"  {at.strftime('%H:%M:%S.%f')[:-3]}  {since:>10}  {event.type}")


def _tell_end(printer: Printer, last: Order | None) -> None:
    if last is None or not last.finished:
        printer.line(Text(f"not finished after {_DEADLINE:g} s", "bold yellow"))
        return
    reason = f": {last.reason}" if last.reason else ""
    printer.line(Text(f"{last.status}{reason}", _STYLES.get(last.status, "bold")))


def _tell_trace(printer: Printer, placed: Placed) -> None:
    printer.line(f"trace {placed.trace_id or 'unknown: the gateway named none'}")
    printer.line(f"see it: weft trace {placed.order_id}", cut=False)


def _json(placed: Placed, last: Order | None, seconds: float) -> dict[str, object]:
    return {
        "order_id": placed.order_id,
        "trace_id": placed.trace_id,
        "status": last.status if last else "pending",
        "reason": last.reason if last else None,
        "events": msgspec.to_builtins(last.events) if last else [],
        "seconds": round(seconds, 3),
    }
