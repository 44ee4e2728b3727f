"""`weft telemetry audit`: what the services told, beside what is stored."""

import asyncio
import inspect
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from stack.audit.auditing import audit as read
from stack.audit.counts import Records
from stack.audit.verdict import Account, differences
from stack.backends.connect import Backends
from stack.cli.output import FAILED, Printer, run
from weft.settings import duration

app = typer.Typer(help="The way of the telemetry itself.", no_args_is_help=True)


def _duration(text: str) -> float:
    try:
        return duration(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: expected a duration such as 30s or 10m") from None


def audit(
    since: Annotated[str, typer.Option(metavar="DURATION", help="How far back.")] = "10m",
    size: Annotated[
        int, typer.Option("--sample", min=0, max=5000, help="Traces to look at span by span.")
    ] = 100,
    traces: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Trace ids to look at, one a line."),
    ] = None,
    wait: Annotated[
        str, typer.Option(metavar="DURATION", help="What is missing may come for so long.")
    ] = "30s",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Compare the telemetry that the services told with what Jaeger, Loki and Prometheus store.

    Names the first place of the way where something is missing. Exit code 0: nothing is, else 1.

    Each process counts for itself and is asked past the collector. Log records and measurements
    are compared by number, spans by a sample of traces: every parent, and every span that a log
    line names, has to be there, and every handled request and message has to have its log line.
    Numbers with ~ are approximate: the collector forgets some of its own counts when it is killed.
    """
    reach, patience = _duration(since), _duration(wait)
    ids = traces.read_text(encoding="utf-8").split() if traces else None
    run(partial(_audit, reach=reach, patience=patience, size=size, ids=ids, as_json=as_json))


_paragraphs = inspect.cleandoc(audit.__doc__ or "").split("\n\n")
app.command(help="\n\n".join(" ".join(text.split()) for text in _paragraphs))(audit)


async def _audit(
    backends: Backends,
    *,
    reach: float,
    patience: float,
    size: int,
    ids: list[str] | None,
    as_json: bool,
) -> int:
    account = await read(
        backends, since=time.time() - reach, size=size, trace_ids=ids, patience=patience
    )
    found = differences(account)
    if as_json:
        document = {**msgspec.to_builtins(account), "differences": msgspec.to_builtins(found)}
        Printer().json(document)
    else:
        await asyncio.to_thread(show, account)
    return FAILED if found else 0


def show(account: Account) -> None:
    """Print an account as three tables and the verdict."""
    printer = Printer()
    _records(printer, account)
    _measurements(printer, account)
    _collector(printer, account)
    _sample(printer, account)
    found = differences(account)
    for each in found:
        printer.line(Text(f"{each.missing:>12,}  {each.place}: {each.what}", "red"))
    if found:
        printer.line(Text(f"first missing at: {found[0].place}", "bold red"))
    else:
        printer.line(Text("nothing is missing", "bold green"))


def _records(printer: Printer, account: Account) -> None:
    heads = ("started", "sent", "dropped", "stored", "unsure")
    printer.line(_row("spans and log records", *heads), cut=False)
    for row in account.records:
        name = "spans" if row.signal == "traces" else "log records"
        numbers = (row.started, row.sent, row.dropped)
        stored, unsure = _stored(account, row)
        texts = (*(f"{number:,}" for number in numbers), stored, unsure)
        printer.line(_row(f"  {row.service} {name}", *texts), cut=False)


def _stored(account: Account, row: Records) -> tuple[str, str]:
    if row.stored is not None:
        return f"{row.stored:,}", f"{row.margin:,}"
    return f"~{account.span_metrics.get(row.service, 0):,}", ""


def _measurements(printer: Printer, account: Account) -> None:
    printer.line(_row("measurements, since their start", "own count", "stored"), cut=False)
    for row in account.measurements:
        name = f"  {row.instance} {row.metric}"
        printer.line(_row(name, f"{row.own:,}", f"{row.stored:,}"), cut=False)


def _collector(printer: Printer, account: Account) -> None:
    printer.line(_row("collector", "accepted", "refused", "sent", "failed"), cut=False)
    for flow in account.flows:
        numbers = (flow.accepted, flow.refused, flow.sent, flow.failed)
        printer.line(_row(f"  {flow.kind}", *(f"~{number:,}" for number in numbers)), cut=False)
    for exporter, number in sorted(account.queued.items()):
        printer.line(_row(f"  waits for {exporter}", f"{number:,}"), cut=False)


def _sample(printer: Printer, account: Account) -> None:
    whole = sum(looked.whole for looked in account.sample)
    spans = sum(looked.stored_spans for looked in account.sample)
    lines = sum(looked.stored_lines for looked in account.sample)
    printer.line(
        f"sample: {whole:,} of {len(account.sample):,} traces whole, "
        f"{spans:,} spans and {lines:,} log lines stored"
    )


def _row(name: str, *cells: str) -> str:
    return f"{name:<58}" + "".join(f"{cell:>13}" for cell in cells)
