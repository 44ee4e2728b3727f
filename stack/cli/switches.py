"""How faults and feature flags look: as a table, or as JSON."""

from datetime import date
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from stack import flags
from stack.cli import show
from stack.cli.output import Printer
from stack.flags import PERCENT, RATE, SECONDS, Kind
from weft.flags.document import OLD, Document, Fault, Feature, utc_now

_UNITS: Final = {PERCENT: " %", SECONDS: " s", RATE: " a second", "": ""}


def show_faults(document: Document, *, allowed: bool, as_json: bool) -> None:
    """Print every fault that there is, and what is on."""
    now = utc_now()
    on = {
        name: flag
        for name, flag in document.flags.items()
        if isinstance(flag, Fault) and flag.until > now
    }
    if as_json:
        Printer().json([_as_json(kind, on.get(kind.name)) for kind in flags.FAULTS])
        return
    printer = Printer()
    printer.line(Text(f"{'fault':<18}{'':<19}{'in':<15}what it does: the alert", "bold"))
    for kind in flags.FAULTS:
        fault = on.get(kind.name)
        state = Text(f"on until {_clock(fault)}", "bold red") if fault else Text("off", "dim")
        state.align("left", 19)
        place = f"{fault.service if fault else kind.service:<15}"
        value = f" ({_value(kind, fault)})" if fault and kind.unit else ""
        told = f"{kind.does}{value}: {kind.alert}"
        printer.line(Text.assemble(f"{kind.name:<18}", state, place, told))
    if not allowed:
        show.note("\nthe services of this system take no faults: WEFT_FAULTS=1 weft up")


def show_on(kind: Kind, fault: Fault) -> None:
    """Say what is on now, and what to expect."""
    value = f" ({_value(kind, fault)})" if kind.unit else ""
    show.note(f"{kind.name}{value} in {fault.service} until {_clock(fault)}: {kind.does}")
    show.note(f"expect the alert {kind.alert}")


def show_off(ended: list[str], wanted: str | None) -> None:
    """Say what is off now."""
    for name in ended:
        show.note(f"{name}: off")
    if not ended:
        show.note(f"{wanted or 'no fault'} was {'not ' if wanted else ''}on")
    if "poison-messages" in ended:
        show.note("what is dead already stays: weft dead-letters list")


def show_features(document: Document, *, as_json: bool) -> None:
    """Print every feature flag."""
    today = utc_now().date()
    found = {name: flag for name, flag in document.flags.items() if isinstance(flag, Feature)}
    if as_json:
        Printer().json(
            [
                {
                    "name": name,
                    "service": flag.service,
                    "percent": flag.percent,
                    "owner": flag.owner,
                    "since": flag.since.isoformat(),
                    "old": flag.is_old(today),
                }
                for name, flag in found.items()
            ]
        )
        return
    grid = _table("feature", "share", "owner", "since", "", "service")
    for name, flag in found.items():
        old = Text("old" if flag.is_old(today) else "", "yellow")
        grid.add_row(name, f"{flag.percent:g} %", flag.owner, str(flag.since), old, flag.service)
    for name, service in flags.FEATURES.items():
        if name not in found:
            grid.add_row(name, Text("nobody", "dim"), "", "", "", service)
    show.out.print(grid)


def show_old(document: Document, today: date | None = None) -> None:
    """Name the feature flags that have served their turn."""
    today = today or utc_now().date()
    for name, flag in document.flags.items():
        if isinstance(flag, Feature) and flag.is_old(today):
            show.note(
                f"feature flag {name} of {flag.owner} is older than {OLD.days} days (since"
                f" {flag.since}): for all, or away with it"
            )


def _as_json(kind: Kind, fault: Fault | None) -> dict[str, Any]:
    return {
        "name": kind.name,
        "on": fault is not None,
        "value": fault.value if fault else None,
        "unit": kind.unit,
        "service": fault.service if fault else kind.service,
        "until": fault.until.isoformat(timespec="seconds") if fault else None,
        "alert": kind.alert,
    }


def _table(*headings: str) -> Table:
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        grid.add_column(heading, overflow="fold")
    return grid


def _value(kind: Kind, fault: Fault | None) -> str:
    return f"{fault.value:g}{_UNITS[kind.unit]}" if fault and kind.unit else ""


def _clock(fault: Fault) -> str:
    return fault.until.astimezone().strftime("%H:%M:%S")
