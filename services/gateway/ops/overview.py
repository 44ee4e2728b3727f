"""The first page: how the services are, and the newest orders."""

from collections.abc import Sequence
from typing import Final

from services.gateway.ops.markup import Markup, element
from services.gateway.ops.page import clock, notice, page
from services.gateway.ops.state import Order, State
from weft.backends.words import duration
from weft.health import Dependency

_SIGNS: Final = {"ready": "good", "not ready": "bad", "away": "bad"}
_ENDS: Final = {"confirmed": "good", "rejected": "bad", "pending": "open"}
_COLUMNS: Final = ("Placed (UTC)", "Order", "User", "Status", "Total", "Took", "Trace")


def overview(states: Sequence[State], orders: Sequence[Order] | None, *, subject: str) -> bytes:
    """Return the page; `orders` are None if they could not be asked for."""
    return page(
        "Overview",
        element(
            "form",
            element("label", "Trace", for_="trace"),
            element(
                "input",
                id="trace",
                name="id",
                required=True,
                pattern="[0-9a-fA-F]{32}",
                title="32 hexadecimal digits, as in the header x-trace-id",
                placeholder="32 hexadecimal digits",
                autocomplete="off",
                spellcheck="false",
            ),
            element("button", "Show", type="submit"),
            class_="look-up",
            action="/ops/traces",
        ),
        element("h2", "Services"),
        element("ul", *map(_state, states), class_="states", role="list"),
        element("h2", "Recent orders"),
        _orders(orders),
        subject=subject,
    )


def _state(state: State) -> Markup:
    badge = element("span", state.state, class_=f"badge {_SIGNS[state.state]}")
    head = element("div", element("span", state.name, class_="name"), badge, class_="head")
    why = element("p", state.why, class_="why") if state.why else None
    if not state.dependencies:
        return element("li", head, why)
    listed = element("ul", *map(_dependency, state.dependencies), role="list")
    count = len(state.dependencies)
    summary = element("summary", f"{count} check{'s' if count > 1 else ''}")
    is_open = state.state != "ready"
    return element("li", head, why, element("details", summary, listed, open=is_open))


def _dependency(each: Dependency) -> Markup:
    word = duration(each.latency_ms / 1000) if each.ok else each.error or "does not answer"
    sign = "ok" if each.ok else "failed"
    return element(
        "li",
        element("span", each.name),
        element("span", f"{sign}, {word}", class_="good" if each.ok else "bad"),
    )


def _orders(orders: Sequence[Order] | None) -> Markup:
    if orders is None:
        return notice("The service orders does not answer: its orders cannot be shown.")
    if not orders:
        return element("p", "There are none yet.")
    head = element("tr", *(element("th", name, scope="col") for name in _COLUMNS))
    body = element("tbody", *map(_order, orders))
    return element("table", element("thead", head), body, class_="orders")


def _order(order: Order) -> Markup:
    status = element("span", order.status, class_=f"badge {_ENDS.get(order.status, 'open')}")
    reason = f" {order.reason.replace('_', ' ')}" if order.reason else None
    took = None
    if order.finished_at is not None:
        took = duration(max(0.0, (order.finished_at - order.placed_at).total_seconds()))
    link = element("a", order.trace_id[:8], href=f"/ops/traces/{order.trace_id}")
    cells = (
        clock(order.placed_at),
        element("code", order.order_id),
        order.subject,
        element("span", status, reason),
        f"{order.total.amount} {order.total.currency}",
        took,
        link,
    )
    named = zip(_COLUMNS, cells, strict=True)
    return element("tr", *(element("td", cell, data_name=name) for name, cell in named))
