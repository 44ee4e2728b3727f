"""`weft events`: one stream of a service's event log."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from rich.text import Text

from stack import databases
from stack.cli.output import FAILED, Printer, warn
from stack.system import System
from weft.messaging.letters import hidden
from weft.postgres.event_log import READ, StoredEvent, stored

_STREAM: Final = "SELECT kind, version FROM weft.streams WHERE id = $1"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as it was found. `version` is that of its newest event."""

    name: str
    kind: str
    version: int
    events: list[StoredEvent]


async def events(system: System, wanted: str, *, after: int, as_json: bool) -> int:
    """Print the events of a stream, oldest first; exit code 1 where there is no such stream.

    Raises DatabaseError, NoCredentialsError.
    """
    services, name = databases.split(system, wanted)

    async def read(connection: databases.Connection) -> Stream | None:
        return await _read(connection, name, after)

    answers, failed = await databases.everywhere(system, services, read)
    found = {service: stream for service, stream in answers.items() if stream is not None}
    if failed and not found:
        raise failed[0]
    if not found:
        where = ", ".join(services) or "any service"
        warn(f"there is no stream {name} in the event log of {where}")
        return FAILED
    if len(found) > 1:
        names = " or ".join(f"{service}/{name}" for service in found)
        warn(f"several services have such a stream: say {names}")
        return FAILED
    printer = Printer()
    ((service, stream),) = found.items()
    if as_json:
        printer.json(_as_json(service, stream))
    else:
        _show(printer, service, stream)
    return 0


async def _read(connection: databases.Connection, name: str, after: int) -> Stream | None:
    row = await connection.fetchrow(_STREAM, name)
    if row is None:
        return None
    events = [stored(one) for one in await connection.fetch(READ, name, after)]
    return Stream(name=name, kind=row["kind"], version=row["version"], events=events)


def _as_json(service: str, stream: Stream) -> dict[str, Any]:
    return {
        "service": service,
        "stream": stream.name,
        "kind": stream.kind,
        "version": stream.version,
        "events": [
            {
                "version": event.version,
                "type": event.type,
                "schema_version": event.schema_version,
                "at": _at(event).isoformat(timespec="milliseconds"),
                "data": hidden(msgspec.json.decode(event.data)),
                "trace_id": _trace_id(event),
                "cause": event.meta.get("cause"),
            }
            for event in stream.events
        ],
    }


def _show(printer: Printer, service: str, stream: Stream) -> None:
    printer.line(Text(f"{service}/{stream.name}", "bold"))
    printer.line(f"{stream.kind}, version {stream.version}")
    for event in stream.events:
        data = json.dumps(hidden(msgspec.json.decode(event.data)), ensure_ascii=False)
        at = _at(event).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        row = Text.assemble(f"{event.version:>4}  {at}  ", (event.type, "cyan"))
        if event.schema_version > 1:
            row.append(f" v{event.schema_version}")
        printer.line(row.append(f" {data}", "dim") if data != "{}" else row, cut=False)
    traces = dict.fromkeys(filter(None, map(_trace_id, stream.events)))
    for trace in traces:
        printer.line(Text(f"see it: weft trace {trace}", "blue"))


def _at(event: StoredEvent) -> datetime:
    return datetime.fromtimestamp(event.at, UTC)


def _trace_id(event: StoredEvent) -> str | None:
    parts = str(event.meta.get("traceparent", "")).split("-")
    return parts[1] if len(parts) == 4 else None  # noqa: PLR2004  # as the W3C has it
