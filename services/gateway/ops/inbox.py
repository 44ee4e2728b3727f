"""The inbox's page: what people were told of alerts, and which channels took it."""

from collections.abc import Sequence
from datetime import UTC
from typing import Final

from services.gateway.ops.markup import Markup, element
from services.gateway.ops.page import clock, notice, page
from services.gateway.ops.state import Alert, Delivery, Told

_SIGNS: Final = {"critical": "bad", "warning": "open", "info": "open"}
_COLUMNS: Final = ("Told (UTC)", "Status", "Message", "Channels")
_SHOWN: Final = ("description", "runbook", "dashboard")


def inbox_page(told: Sequence[Told] | None, *, subject: str) -> bytes:
    """Return the page; `told` is None if it could not be asked for."""
    return page("Inbox", _listed(told), subject=subject)


def _listed(told: Sequence[Told] | None) -> Markup:
    if told is None:
        return notice("The notifier does not answer: what it told cannot be shown.")
    if not told:
        return element("p", "Nothing was told yet.")
    head = element("tr", *(element("th", name, scope="col") for name in _COLUMNS))
    body = element("tbody", *map(_row, told))
    return element("table", element("thead", head), body, class_="orders told")


def _row(each: Told) -> Markup:
    sign = "good" if each.status == "resolved" else _SIGNS.get(each.severity, "open")
    word = each.severity if each.status == "firing" else each.status
    cells = (
        element("span", f"{each.at.astimezone(UTC):%Y-%m-%d} ", clock(each.at)),
        element("span", word, class_=f"badge {sign}"),
        _message(each),
        element("span", ", ".join(map(_taken, each.deliveries)) or "inbox only"),
    )
    named = zip(_COLUMNS, cells, strict=True)
    return element("tr", *(element("td", cell, data_name=name) for name, cell in named))


def _message(each: Told) -> Markup:
    return element("details", element("summary", each.title), *map(_facts, each.alerts))


def _facts(alert: Alert) -> Markup | None:
    facts = [
        element("li", f"{name}: {text}") for name in _SHOWN if (text := alert.annotations.get(name))
    ]
    return element("ul", *facts, role="list") if facts else None


def _taken(delivery: Delivery) -> str:
    why = f" ({delivery.error})" if delivery.error else ""
    return f"{delivery.channel}: {delivery.state}{why}"
