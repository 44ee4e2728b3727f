"""What `weft tour` shows: an order, what each signal knows of it, and a fault with its alert."""

import asyncio
import time
from contextlib import suppress
from typing import Final

from rich.text import Text

from stack.backends.http import BackendError
from stack.cli.breaking import breaking
from stack.cli.ordering import SCOPES, follow_order
from stack.cli.searching import Reach, search
from stack.cli.tour import Chapter, Visit
from stack.cli.tracing import trace
from weft.backends.logql import Query

_SUBJECT: Final = "demo"
_SKU: Final = "SKU-0001"
_LINES: Final = 8
_SINCE: Final = 900.0
_STORED: Final = 20.0
"""Seconds within which a log line and a metric of the order have to be stored."""
_POLL: Final = 0.5
ORDERS: Final = "sum by (outcome) (weft_orders_total)"
_TOOK: Final = "sum(weft_order_duration_seconds_sum) / sum(weft_order_duration_seconds_count)"


async def _order(visit: Visit) -> None:
    with suppress(BackendError):
        visit.counted_before = await _orders(visit)
    gateway = visit.backends.gateway(_SUBJECT, SCOPES)
    begun = time.time()
    placed = await gateway.place(_SKU, 1, "tok_ok")
    visit.order_id, visit.trace_id = placed.order_id, placed.trace_id
    visit.printer.line(f"order {placed.order_id} placed: 1 x {_SKU}")
    await follow_order(gateway, placed, begun, visit.printer)


async def _trace(visit: Visit) -> None:
    await trace(visit.backends, visit.order_id, full=False, as_json=False)


async def _logs(visit: Visit) -> None:
    finished = Query(text="order finished", facts={"weft.order.id": visit.order_id})
    end = time.monotonic() + _STORED
    while time.monotonic() < end:
        now = time.time()
        if await visit.backends.loki.search(finished, since=now - _SINCE, until=now + 1, limit=1):
            break
        await asyncio.sleep(_POLL)
    reach = Reach(order_id=visit.order_id, seconds=_SINCE, limit=_LINES)
    looked_up = ("/v1/orders/{order_id}",)  # by ourselves, while we waited for its end
    await search(
        visit.backends, Query(not_routes=looked_up), reach=reach, as_json=False, follow=False
    )


async def _metrics(visit: Visit) -> None:
    prometheus, printer = visit.backends.prometheus, visit.printer
    await _counted(visit)
    printer.line(Text(ORDERS, "cyan"))
    for sample in await prometheus.query(ORDERS):
        printer.line(f"  {sample.labels.get('outcome', '')}: {sample.value:g}")
    printer.line(Text(_TOOK, "cyan"))
    for sample in await prometheus.query(_TOOK):
        printer.line(f"  {sample.value:.3f} s from acceptance to end, on average")
    for exemplar in await prometheus.exemplars("weft_order_duration_seconds_bucket"):
        if exemplar.trace_id == visit.trace_id:
            printer.line(f"  its exemplar: {exemplar.value:.3f} s in trace {exemplar.trace_id}")
            break


async def _counted(visit: Visit) -> None:
    """Wait until Prometheus has counted the order, if it is known what it had before."""
    before = visit.counted_before
    end = time.monotonic() + _STORED
    while before is not None and time.monotonic() < end:
        if await _orders(visit) > before:
            return
        await asyncio.sleep(_POLL)


async def _orders(visit: Visit) -> float:
    return sum(sample.value for sample in await visit.backends.prometheus.query(ORDERS))


CHAPTERS: Final = (
    Chapter(
        title="An order",
        text="A customer orders one cup at the gateway, the only public door ({gateway}). orders"
        " accepts it and sends commands over RabbitMQ: inventory reserves, payments asks the card"
        " provider, and only then is the order confirmed. Each line is an event in its log.",
        show=_order,
        again="{weft} order",
    ),
    Chapter(
        title="Its trace",
        text="All of that is one trace, through every service, its database and the broker. A tree"
        " of spans: who called whom, how long it took; log lines stand below the span that they"
        " were written in, and an arrow shows where a message was handled.",
        show=_trace,
        again="{weft} trace {order_id}\n{weft} trace --full {order_id}",
    ),
    Chapter(
        title="Its logs",
        text="Every request and every message leaves one log line with facts instead of sentences,"
        " in Loki. Each line has the trace's id, so an order's id finds the lines of every service"
        " that had a hand in it. These are the newest:",
        show=_logs,
        again="{weft} search --order {order_id}\n"
        "{weft} search 'order finished' --service orders --since 15m",
    ),
    Chapter(
        title="Its metrics",
        text="Services count and measure all the time, and send what they have every 5 seconds to"
        " Prometheus. The order is in the count now, and an exemplar leads from a number back to a"
        " trace. The traffic that a start brings along is not counted here.",
        show=_metrics,
        again="curl -sG {prometheus}/api/v1/query --data-urlencode 'query=" + ORDERS + "'",
    ),
    Chapter(
        title="A fault, and who hears of it",
        text="A flag makes the card provider answer most of its calls with an error, as a bad day"
        " would. payments calls again and again; Prometheus counts the failing calls and fires an"
        " alert; Alertmanager sends it to the notifier, which tells people and keeps an inbox of"
        " what it told. Then the flag is taken away, and the end is told as well. That takes two"
        " minutes or so; each line says how long after the beginning it came.",
        show=breaking,
        again="{weft} faults on payment-failures --percent 80 --for 3m\n{weft} inbox\n"
        "{weft} faults off",
    ),
    Chapter(
        title="Where to go on",
        text="{gateway}/ops shows the services, recent orders and any trace in a browser; it asks"
        " for a token, which the first command prints. README.md shows the rest: a service of your"
        " own in one file, load, and the tests.",
        again="{weft} token --subject me --scope ops\n{weft} status\n{weft} run examples/hello.py",
    ),
)
