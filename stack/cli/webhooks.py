"""`weft webhooks`: what was sent to whom, what waits, what has failed; and sending it again."""

from typing import Final

import msgspec
from rich.text import Text

from stack import databases
from stack.cli.output import FAILED, Printer, warn
from stack.system import System
from weft.settings import SettingsError
from weft.webhooks import operators
from weft.webhooks.operators import STATES, Sent

OPEN: Final = ("pending", "failed")
_STYLES: Final = {"pending": "yellow", "delivered": "green", "failed": "red"}


async def list_all(system: System, state: str | None, *, limit: int, as_json: bool) -> int:
    """Print webhooks of every service, newest first, by default those that are not delivered.

    Raises SettingsError, NoCredentialsError.
    """
    if state is not None and state not in STATES:
        raise SettingsError(f"--state {state}: expected one of {', '.join(STATES)}")
    states = OPEN if state is None else (state,)

    async def read(connection: databases.Connection) -> list[Sent]:
        if await connection.fetchval("SELECT to_regclass('weft.webhooks')") is None:
            return []
        return await operators.listed(connection, states=states, limit=limit)

    found, failed = await databases.everywhere(system, databases.names(system), read)
    for error in failed:
        warn(str(error))
    every = [(service, one) for service, several in found.items() for one in several]
    every.sort(key=lambda pair: pair[1].created_at, reverse=True)
    _print(every[:limit], as_json=as_json)
    return FAILED if failed else 0


async def replay(system: System, which: str, *, force: bool) -> int:
    """Have webhooks sent again. Raises NoCredentialsError."""
    done = 0
    for service in databases.names(system):
        try:
            async with databases.connect(system, service, read_only=False) as connection:
                if await connection.fetchval("SELECT to_regclass('weft.webhooks')") is None:
                    continue
                count = await operators.replay(connection, which, force=force)
        except databases.DatabaseError as error:
            warn(str(error))
            continue
        if count:
            Printer().line(f"{service}: {count} sent again")
        done += count
    if not done:
        warn(f"nothing to replay for {which} (a disabled endpoint: --force)")
        return FAILED
    return 0


def _print(found: list[tuple[str, Sent]], *, as_json: bool) -> None:
    printer = Printer()
    if as_json:
        printer.json([{"service": service} | msgspec.to_builtins(one) for service, one in found])
        return
    if not found:
        printer.line(Text("no webhooks", "dim"))
        return
    head = f"{'state':<10}{'tries':>5}  {'made':<20} {'endpoint':<38} {'id':<38} type: last answer"
    printer.line(Text(head, "dim"))
    for service, one in found:
        made = one.created_at.isoformat(timespec="seconds").replace("+00:00", "Z")
        row = Text(f"{one.state:<10}", _STYLES[one.state]).append(f"{one.attempts:>5}  {made:<20} ")
        row.append(f"{one.endpoint:<38} ", "cyan").append(f"{one.id:<38} {one.type}: ")
        row.append(one.disabled_why or one.error or str(one.status or "-"))
        printer.line(row.append(f"  {service}", "dim"))
    printer.line(Text("send one again: weft webhooks replay ID", "dim"))
