"""`weft scaling history`: how many report workers there were to be, and what that was made of."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from rich.text import Text

from stack import databases
from stack.cli.output import Printer
from stack.system import System

SERVICE: Final = "report_runner"
_READ: Final = """
    SELECT at, phase, before, workers, reason, alerts, inputs FROM decisions
    WHERE at > $1 ORDER BY id DESC LIMIT $2
"""
_STYLES: Final = {"woke": "cyan", "changed": "", "slept": "dim"}
_HEAD: Final = (
    f"{'at':<21}{'':<9}{'workers':<12}{'why':<18}{'waiting':>8}{'oldest':>8}{'running':>8}"
    f"{'in /s':>8}{'told /s':>9}{'takes':>9}"
)


async def history(system: System, *, since: float, limit: int, as_json: bool) -> int:
    """Print the newest decisions of the last `since` seconds, the newest last.

    Raises DatabaseError, NoCredentialsError.
    """
    earliest = datetime.now(UTC) - timedelta(seconds=since)
    async with databases.connect(system, SERVICE) as connection:
        rows = await connection.fetch(_READ, earliest, limit)
    found = [_as_json(dict(row)) for row in reversed(rows)]
    printer = Printer()
    if as_json:
        printer.json(found)
        return 0
    if not found:
        printer.line(Text("nothing was decided", "dim"))
        return 0
    printer.line(Text(_HEAD, "dim"))
    for one in found:
        printer.line(_row(one))
    return 0


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "at": row["at"].isoformat(timespec="milliseconds"),
        "inputs": msgspec.json.decode(row["inputs"]),
    }


def _row(one: dict[str, Any]) -> Text:
    inputs = one["inputs"]
    at = datetime.fromisoformat(one["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    size = f"{one['before']} -> {one['workers']}"
    if one["before"] == one["workers"]:
        size = str(one["workers"])
    told = _rate(inputs.get("forecast_rate")) + ("*" if inputs.get("trusted") else " ")
    takes = f"{inputs['service_time']:.1f} s" + ("" if inputs["service_time_known"] else "?")
    line = Text(f"{at:<21}", "dim").append(f"{one['phase']:<9}", _STYLES[one["phase"]])
    line.append(f"{size:<12}", "bold").append(f"{one['reason']:<18}")
    line.append(f"{inputs['waiting']:>8}{inputs['oldest']:>6.1f} s{inputs['running']:>8}")
    line.append(f"{_rate(inputs.get('arrival_rate')):>8}{told:>9}{takes:>9}")
    return line.append(f"  {', '.join(one['alerts'])}" if one["alerts"] else "", "cyan")


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
