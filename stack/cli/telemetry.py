"""The commands that ask the running system: order, trace, traces, search, query, tour."""

import inspect
import sys
from functools import partial
from typing import Annotated, Literal

import typer

from stack.cli.chapters import CHAPTERS
from stack.cli.choosing import Filter, is_status
from stack.cli.choosing import traces as list_traces
from stack.cli.ordering import Wish
from stack.cli.ordering import order as place_order
from stack.cli.output import Printer, run
from stack.cli.querying import exemplars as list_exemplars
from stack.cli.querying import query as ask_prometheus
from stack.cli.searching import Reach
from stack.cli.searching import search as search_logs
from stack.cli.tour import Visit, walk
from stack.cli.tracing import trace as show_trace
from weft.backends.logql import Query
from weft.settings import duration

Level = Literal["debug", "info", "warning", "error"]


def _duration(text: str) -> str:
    try:
        duration(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r}: expected a duration such as 500ms, 30s or 15m"
        ) from None
    return text


def _status(text: str | None) -> str | None:
    if text is None or is_status(text):
        return text
    raise typer.BadParameter(f"{text!r}: expected error, 4xx, 5xx or an HTTP status such as 422")


def _facts(pairs: list[str] | None) -> list[str] | None:
    for pair in pairs or ():
        if not pair.partition("=")[2] or pair.startswith("="):
            raise typer.BadParameter(f"{pair!r}: expected NAME=VALUE")
    return pairs


def _parted(pairs: list[str] | None) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in pairs or ())


Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Service = Annotated[str | None, typer.Option(help="Only this service, such as orders.")]
Since = Annotated[
    str, typer.Option(callback=_duration, metavar="DURATION", help="How far back to look.")
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        callback=_facts,
        metavar="NAME=VALUE",
        help="Only with this attribute, such as user.id=alice; may be repeated.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (order, trace, traces, search, query, tour):
        paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
        app.command(help="\n\n".join(" ".join(text.split()) for text in paragraphs))(command)


def order(
    sku: Annotated[str, typer.Option(help="What to order.")] = "SKU-0001",
    quantity: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 1,
    payment: Annotated[
        str,
        typer.Option(
            "--token", help="Payment token: tok_ok, tok_declined, tok_slow, tok_flaky ..."
        ),
    ] = "tok_ok",
    subject: Annotated[str, typer.Option(help="The user who orders.")] = "demo",
    follow: Annotated[bool, typer.Option(help="Watch the order to its end, at most 60 s.")] = True,
    as_json: Json = False,
) -> None:
    """Place an order and follow it to its end.

    Exit code 0: confirmed (with --no-follow: accepted); 1: refused, rejected or not finished.
    """
    wish = Wish(sku=sku, quantity=quantity, payment=payment, subject=subject)
    run(partial(place_order, wish=wish, follow=follow, as_json=as_json))


def trace(
    wanted: Annotated[
        str, typer.Argument(metavar="ORDER_ID", help="Or a trace id, 32 hex digits.")
    ],
    critical: Annotated[
        bool, typer.Option("--critical-path", help="Where the time went, instead of the tree.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="A row for every span, and no line cut.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the trace of an order as a tree, with the log lines of each span.

    Waits up to 10 s for the trace to be whole. The handling of a message stands beside its
    sending, behind an arrow. In traces of more than 40 spans, quiet leaves share one row.
    """
    run(partial(show_trace, wanted=wanted, full=full, as_json=as_json, critical=critical))


def traces(
    service: Service = None,
    slow: Annotated[
        str,
        typer.Option(callback=_duration, metavar="DURATION", help="Those that took at least this."),
    ] = "0",
    route: Annotated[str | None, typer.Option(help="HTTP route, such as /v1/orders.")] = None,
    status: Annotated[
        str | None,
        typer.Option(callback=_status, help="error, 4xx, 5xx or an HTTP status such as 422."),
    ] = None,
    where: Where = None,
    since: Since = "15m",
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List recent traces to choose from, newest first.

    Service, route, status and attributes have to meet in one span. A trace takes from its first
    span's start to its last one's end; --slow looks through the traces that have a span of that
    length, and through the newest 100 of the service, or of the gateway.
    """
    wanted = Filter(
        service=service,
        slow=duration(slow),
        route=route,
        status=status,
        facts=_parted(where),
        since=duration(since),
        limit=limit,
    )
    run(partial(list_traces, wanted=wanted, as_json=as_json))


def search(
    text: Annotated[str, typer.Argument(help="Part of the message or of a fact.")] = "",
    service: Service = None,
    level: Annotated[Level | None, typer.Option(help="This level and those above it.")] = None,
    user: Annotated[str | None, typer.Option(help="Lines about this user.")] = None,
    order: Annotated[
        str | None, typer.Option(help="Lines that name this order, or are of its trace.")
    ] = None,
    where: Where = None,
    not_route: Annotated[
        list[str] | None, typer.Option(help="Leave out this HTTP route; may be repeated.")
    ] = None,
    since: Since = "1h",
    limit: Annotated[int, typer.Option(min=1, max=5000, help="The newest, at most.")] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search log lines in Loki, oldest first.

    TEXT is looked for, in any case, in the message and in the facts written as name=value, with
    underscores for the dots in names. Loki reads every line of the time span for that: narrow it
    by --service and --since where there are many. --json prints one object a line.
    """
    query = Query(
        text=text,
        service=service,
        level=level,
        facts=_parted(where) | ({"user.id": user} if user is not None else {}),
        not_routes=tuple(not_route or ()),
    )
    reach = Reach(order_id=order, seconds=duration(since), limit=limit)
    run(partial(search_logs, query=query, reach=reach, as_json=as_json, follow=follow))


def query(
    promql: Annotated[str, typer.Argument(metavar="PROMQL", help="An expression of Prometheus.")],
    exemplars: Annotated[
        bool, typer.Option("--exemplars", help="Traces of single observations, not values.")
    ] = False,
    since: Since = "15m",
    as_json: Json = False,
) -> None:
    """Ask Prometheus: each series with its value now, the highest first.

    With --exemplars: the traces of single observations, as far back as --since.
    """
    if exemplars:
        seconds = duration(since)
        run(partial(list_exemplars, promql=promql, since=seconds, as_json=as_json))
    run(partial(ask_prometheus, promql=promql, as_json=as_json))


def tour(
    pause: Annotated[
        bool, typer.Option("--pause/--no-pause", help="Wait for Enter between the chapters.")
    ] = True,
) -> None:
    """Follow one order through its trace, its logs and its metrics, with explanations.

    Takes under a minute, and on a terminal waits for Enter between the chapters.
    """
    pause = pause and sys.stdin.isatty() and sys.stdout.isatty()
    run(lambda backends: walk(Visit(backends, Printer(), sys.argv[0]), CHAPTERS, pause=pause))
