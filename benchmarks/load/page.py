"""The report of a run: a page of its own, and lines for the terminal."""

import html
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.load.journal import Order
from benchmarks.load.search import Search, Stage
from benchmarks.load.target import Target

_HUNGRIEST: Final = 4
_FULL: Final = 0.9
"""From this share on, the machine's cores are what saturates."""
_TEMPLATE: Final = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
HEADER: Final = "orders/s wanted finished failed     p50     p95     p99   p99.9  cpu stored"


def line(stage: Stage) -> str:
    """Return a stage as a row under HEADER."""
    quantiles = " ".join(f"{_time(s):>7}" for s in (stage.p50, stage.p95, stage.p99, stage.p999))
    return (
        f"{stage.wanted:>15.1f} {stage.finished:>8.1f} {stage.failed:>6} {quantiles}"
        f" {stage.cpu:>4.0%} {stage.stored:>6.0%}  {busiest(stage)}"
    )


def verdict(search: Search) -> str:
    """Say in a sentence where the knee is, and what is used up there."""
    knee = search.knee()
    if knee is None:
        return "No knee: the system did not keep up with the lowest rate that was tried."
    rate = f"{knee.finished:.1f} orders finished a second, p99 {_time(knee.p99)}"
    if not search.bounded:
        return f"The system kept up with all that was tried: {rate}. The knee lies above."
    worst = min(
        (one for one in search.done if not one.good(search.limit)), key=lambda one: one.wanted
    )
    return f"The knee: {rate}. Beyond it, at {worst.wanted:.1f} wanted, {_saturated(worst)}."


def _saturated(stage: Stage) -> str:
    if stage.cpu >= _FULL:
        return f"the machine's {os.cpu_count()} cores are full ({busiest(stage)})"
    return f"{stage.cpu:.0%} of the machine's cores are busy ({busiest(stage)})"


def busiest(stage: Stage) -> str:
    """Return the programs that took the most cores."""
    ranked = sorted(stage.cores.items(), key=lambda pair: -pair[1])[:_HUNGRIEST]
    return ", ".join(f"{name} {cores:.2f}" for name, cores in ranked if cores >= 0.005)  # noqa: PLR2004 - shown as 0.00


def write(
    folder: Path, search: Search, slowest: Iterable[Order], target: Target, *, details: bool
) -> Path:
    """Write index.html into `folder` and return its path; `details` is Locust's own page."""
    orders = sorted(slowest, reverse=True)
    page = folder / "index.html"
    parts = {
        "verdict": html.escape(verdict(search)),
        "stages": "\n".join(_stage(stage, search) for stage in search.done),
        "slowest": "\n".join(_order(order, target) for order in orders),
        "limit": _time(search.limit),
        "details": '<p><a href="locust.html">Every request, by Locust</a></p>' if details else "",
    }
    text = _TEMPLATE
    for name, value in parts.items():
        text = text.replace(f"<!-- {name} -->", value)
    folder.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    return page


def _stage(stage: Stage, search: Search) -> str:
    cells = [
        f"{stage.wanted:.1f}",
        f"{stage.accepted:.1f}",
        f"{stage.finished:.1f}",
        f"{stage.failed}",
        *(_time(seconds) for seconds in (stage.p50, stage.p95, stage.p99, stage.p999)),
        f"{stage.cpu:.0%}",
        f"{stage.stored:.0%}",
        html.escape(busiest(stage)),
    ]
    kind = "good" if stage.good(search.limit) else "bad"
    if stage is search.knee():
        kind = "knee"
    return _row(cells, kind)


def _order(order: Order, target: Target) -> str:
    trace = html.escape(order.trace_id)
    gateway, jaeger = html.escape(target.gateway), html.escape(target.jaeger)
    return _row(
        [
            _time(order.seconds),
            html.escape(order.status),
            f'<a href="{gateway}/ops/traces/{trace}">{trace}</a>',
            f'<a href="{jaeger}/api/traces/{trace}">JSON</a>',
            f"<code>weft trace {html.escape(order.order_id)}</code>",
        ]
    )


def _row(cells: Sequence[str], kind: str = "") -> str:
    return f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _time(seconds: float) -> str:
    if seconds == float("inf"):
        return "none"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
