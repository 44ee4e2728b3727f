"""`weft dead-letters`: which messages are dead and why; back to their queue with them, or away.

What does the work is imported when a command needs it: the other commands start without.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from stack import compose
from stack.backing import rabbitmq
from stack.cli import show as console
from stack.credentials import NoCredentialsError
from stack.system import System
from weft.errors import Unavailable
from weft.settings import SettingsError

FAILED: Final = 1
USAGE: Final = 2
_READ: Final = 1000

app = typer.Typer(help="Messages that no attempt could handle.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="A message's id, or a group's of `list`.")]
OneOrAll = Annotated[
    str | None,
    typer.Argument(metavar="[WHICH]", help="A message's id, or a group's; else all of --queue."),
]
Queue = Annotated[str | None, typer.Option(help="Only this queue, such as orders.events.")]
Limit = Annotated[
    int, typer.Option(min=1, max=100_000, help="Letters looked at in each queue, the oldest.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("list")
def list_groups(queue: Queue = None, limit: Limit = _READ, as_json: Json = False) -> None:
    """Show the dead letters, grouped by queue, message type and error."""
    from stack.cli import burying  # noqa: PLC0415 - heavy

    with _told():
        system, queues = _queues(queue)
        burying.groups(system, queues, limit=limit, as_json=as_json)


@app.command()
def show(which: Which, queue: Queue = None, limit: Limit = _READ, as_json: Json = False) -> None:
    """Show one dead letter, or a group: headers and body, without what looks like a secret."""
    from stack.cli import burying  # noqa: PLC0415 - heavy

    with _told():
        system, queues = _queues(queue)
        _exit(burying.show(system, queues, which, limit=limit, as_json=as_json))


@app.command()
def replay(
    which: OneOrAll = None,
    queue: Queue = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also what the inbox may have forgotten: it may act twice."),
    ] = False,
    limit: Limit = _READ,
) -> None:
    """Send dead letters back to the queue that they died in: one, a group, or all of a queue.

    A letter keeps its identity and its trace and begins again at its first attempt. The inbox knows
    identities of the last 7 days: what is older is refused, and with --force sent as a new message.
    """
    from stack.cli import burying  # noqa: PLC0415 - heavy

    with _told():
        system, queues = _queues(queue, which)
        _exit(burying.replay(system, queues, which, limit=limit, force=force))


@app.command()
def drop(
    which: OneOrAll = None,
    queue: Queue = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    limit: Limit = _READ,
) -> None:
    """Delete dead letters for ever: one, a group, or all of a queue."""
    from stack.cli import burying  # noqa: PLC0415 - heavy

    with _told():
        system, queues = _queues(queue, which)
        named = which or f"all dead letters of {queues[0]}"
        if not yes and not typer.confirm(f"Delete {named} for ever?"):
            raise typer.Exit(FAILED)
        _exit(burying.drop(system, queues, which, limit=limit))


def _exit(done: bool) -> None:
    if not done:
        raise typer.Exit(FAILED)


def _queues(queue: str | None, which: str | None = "") -> tuple[System, list[str]]:
    """Return the queues to look at. Raises SettingsError where that is not said, or wrong."""
    if which is None and queue is None:
        raise SettingsError("expected a message's id, a group's, or --queue for all of a queue")
    system = System.load()
    if compose.chosen(system):
        raise compose.ComposeError("weft dead-letters works with the native system")
    known = rabbitmq.dead_lettered(system)
    if queue is None:
        return system, known
    name = queue.removesuffix(rabbitmq.DEAD)
    if name not in known:
        raise SettingsError(f"--queue {queue}: expected one of {', '.join(known) or 'none'}")
    return system, [name]


@contextmanager
def _told() -> Iterator[None]:
    """Turn what can go wrong into a line and an exit code."""
    try:
        yield
    except SettingsError as error:
        console.error(str(error))
        raise typer.Exit(USAGE) from None
    except (
        Unavailable,
        NoCredentialsError,
        compose.ComposeError,
        rabbitmq.BrokerError,
    ) as error:
        console.error(str(error))
        raise typer.Exit(FAILED) from None
