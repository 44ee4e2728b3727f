"""`weft query`: what Prometheus says to an expression, or the traces behind a metric."""

from rich.text import Text

from stack.backends.connect import Backends
from stack.backends.prometheus import Exemplar, Sample
from stack.cli.output import Printer
from stack.cli.tree import clock


async def query(backends: Backends, promql: str, *, as_json: bool) -> int:
    """Print the series of an expression with their values now, the highest first."""
    found = await backends.prometheus.query(promql)
    found.sort(key=lambda sample: -sample.value)
    printer = Printer()
    if as_json:
        printer.json([{"labels": sample.labels, "value": sample.value} for sample in found])
        return 0
    for sample in found:
        printer.line(_row(sample), cut=False)
    if not found:
        printer.line(Text("no series", "dim"))
    return 0


async def exemplars(backends: Backends, promql: str, *, since: float, as_json: bool) -> int:
    """Print traces of single observations of the last `since` seconds, the newest first."""
    found = await backends.prometheus.exemplars(promql, lookback=since)
    printer = Printer()
    if as_json:
        told = [{"trace_id": one.trace_id, "value": one.value, "at": one.at} for one in found]
        printer.json(told)
        return 0
    for one in found:
        printer.line(_exemplar(one))
    last = "see one: weft trace TRACE_ID" if found else "no trace"
    printer.line(Text(last, "dim"))
    return 0


def _row(sample: Sample) -> Text:
    labels = {name: text for name, text in sample.labels.items() if name != "__name__"}
    row = Text(f"{sample.value:>12.6g}  ").append(sample.labels.get("__name__", ""), "bold")
    row.append(" " if "__name__" in sample.labels else "")
    return row.append(" ".join(f"{name}={text}" for name, text in sorted(labels.items())), "cyan")


def _exemplar(one: Exemplar) -> Text:
    return Text.assemble(f"{clock(one.at)} ", (one.trace_id, "bold"), f" {one.value:.6g}")
