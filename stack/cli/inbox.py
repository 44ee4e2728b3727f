"""`weft inbox`: what the notifier told, or would have told."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from rich.text import Text

from stack import databases
from stack.cli.output import Printer
from stack.system import System

_READ: Final = """
    SELECT n.id, n.identity, n.at, n.status, n.severity, n.title, n.alerts, n.carrier,
        (SELECT coalesce(jsonb_agg(jsonb_build_object('channel', d.channel, 'state', d.state,
            'attempts', d.attempts, 'error', d.error) ORDER BY d.channel), '[]')
        FROM deliveries d WHERE d.notice = n.id) AS deliveries
    FROM notices n WHERE n.at > $1 ORDER BY n.id DESC LIMIT $2
"""
_STYLES: Final = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
_SHOWN: Final = ("description", "runbook", "dashboard")


async def inbox(system: System, *, since: float, limit: int, as_json: bool) -> int:
    """Print the newest messages of the last `since` seconds, the newest last.

    Raises DatabaseError, NoCredentialsError.
    """
    earliest = datetime.now(UTC) - timedelta(seconds=since)
    async with databases.connect(system, "notifier") as connection:
        rows = await connection.fetch(_READ, earliest, limit)
    notices = [_as_json(dict(row)) for row in reversed(rows)]
    printer = Printer()
    if as_json:
        printer.json(notices)
        return 0
    for notice in notices:
        _show(printer, notice)
    if not notices:
        printer.line(Text("nothing was told", "dim"))
    return 0


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    carrier = msgspec.json.decode(row["carrier"])
    return {
        "identity": str(row["identity"]),
        "at": row["at"].isoformat(timespec="milliseconds"),
        "status": row["status"],
        "severity": row["severity"],
        "title": row["title"],
        "alerts": msgspec.json.decode(row["alerts"]),
        "deliveries": msgspec.json.decode(row["deliveries"]),
        "trace_id": carrier.get("traceparent", "")[3:35] or None,
    }


def _show(printer: Printer, notice: dict[str, Any]) -> None:
    at = datetime.fromisoformat(notice["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    style = "green" if notice["status"] == "resolved" else _STYLES[notice["severity"]]
    printer.line(Text.assemble((f"{at}  ", "dim"), (notice["title"], style)), cut=False)
    for alert in notice["alerts"]:
        told = alert["annotations"]
        printer.line(f"    {alert['status']}: {told.get('summary', '')}", cut=False)
        if alert["status"] == "firing":
            for name in filter(told.get, _SHOWN):
                printer.line(Text(f"      {name}: {told[name]}", "dim"), cut=False)
    for delivery in notice["deliveries"]:
        why = f" ({delivery['error']})" if delivery["error"] else ""
        printer.line(Text(f"    {delivery['channel']}: {delivery['state']}{why}", "blue"))
