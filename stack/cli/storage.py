"""What looks into the services' databases: events, inbox, projections, scaling, webhooks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from stack import compose
from stack.cli.output import FAILED, USAGE
from stack.credentials import NoCredentialsError
from stack.databases import DatabaseError
from stack.system import System
from weft.settings import SettingsError, duration

Json = Annotated[bool, typer.Option("--json", help="For programs.")]
_projections = typer.Typer(
    help="The read models that follow the event logs, and building one anew.",
    no_args_is_help=True,
)
_webhooks = typer.Typer(
    help="Webhooks that wait, were delivered or have failed.", no_args_is_help=True
)

_scaling = typer.Typer(
    help="How many report workers there are, decided by the scaler.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(events)
    app.command()(inbox)
    _projections.command("list")(show)
    _projections.command()(rebuild)
    app.add_typer(_projections, name="projections")
    _webhooks.command("list")(webhooks)
    _webhooks.command()(replay)
    app.add_typer(_webhooks, name="webhooks")
    _scaling.command()(history)
    app.add_typer(_scaling, name="scaling")


def events(
    stream: Annotated[str, typer.Argument(help="Such as an order's id; or SERVICE/STREAM.")],
    after: Annotated[int, typer.Option(min=0, help="Only those above this version.")] = 0,
    as_json: Json = False,
) -> None:
    """Print one stream of the event log, oldest first: it only reads, and shows no secrets."""
    from stack.cli import streams  # noqa: PLC0415 - the other commands need not wait for it

    _run(lambda system: streams.events(system, stream, after=after, as_json=as_json))


def inbox(
    since: Annotated[str, typer.Option(help="Only those as young as this: 30m, 1d.")] = "1d",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest.")] = 20,
    as_json: Json = False,
) -> None:
    """Print what people were told of alerts, the newest last, and which channels took it."""
    from stack.cli import inbox as shown  # noqa: PLC0415 - the other commands need not wait for it

    seconds = _seconds(since)
    _run(lambda system: shown.inbox(system, since=seconds, limit=limit, as_json=as_json))


def show(as_json: Json = False) -> None:
    """List the read models: generation, state, and the events that each has not read yet."""
    from stack.cli import read_models  # noqa: PLC0415 - the same

    _run(lambda system: read_models.projections(system, as_json=as_json))


def rebuild(
    name: Annotated[str, typer.Argument(help="Such as sales; or SERVICE/NAME.")],
    wait: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Until it is live, else exit code 1."),
    ] = None,
) -> None:
    """Build a read model anew from the first event on, while the system runs.

    Readers see the old one until the new one has caught up.
    """
    from stack.cli import read_models  # noqa: PLC0415 - the same

    _run(lambda system: read_models.rebuild(system, name, seconds=wait))


def webhooks(
    state: Annotated[
        str | None, typer.Option(help="pending, delivered or failed; else what is not delivered.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest.")] = 50,
    as_json: Json = False,
) -> None:
    """Show webhooks of every service, newest first, with the answer to their last attempt."""
    from stack.cli import webhooks as shown  # noqa: PLC0415 - the same

    _run(lambda system: shown.list_all(system, state, limit=limit, as_json=as_json))


def replay(
    which: Annotated[
        str, typer.Argument(help="A webhook's id; or an endpoint, for its failed ones.")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Enable its endpoint again if that is disabled.")
    ] = False,
) -> None:
    """Send a webhook again, or all that have failed of an endpoint. Its id stays the same."""
    from stack.cli import webhooks as shown  # noqa: PLC0415 - the same

    _run(lambda system: shown.replay(system, which, force=force))


def history(
    since: Annotated[str, typer.Option(help="Only those as young as this: 30m, 1d.")] = "1d",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest.")] = 50,
    as_json: Json = False,
) -> None:
    """Print the decisions of the scaler, the newest last, with what each was made of.

    Columns: reports that wait, the age of the oldest, those with a worker; reports that come in
    (measured, and foretold: * where that was used); seconds of a worker for one (? not measured).
    """
    from stack.cli import decisions  # noqa: PLC0415 - the other commands need not wait for it

    seconds = _seconds(since)
    _run(lambda system: decisions.history(system, since=seconds, limit=limit, as_json=as_json))


def _seconds(since: str) -> float:
    try:
        return duration(since)
    except ValueError:
        typer.secho(f"--since {since}: expected a duration such as 30m", err=True, fg="red")
        raise typer.Exit(USAGE) from None


def _run(work: Callable[[System], Awaitable[int]]) -> None:
    try:
        code = asyncio.run(_with_system(work))
    except SettingsError as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(USAGE) from None
    except (DatabaseError, NoCredentialsError, compose.ComposeError) as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(FAILED) from None
    raise typer.Exit(code)


async def _with_system(work: Callable[[System], Awaitable[int]]) -> int:
    system = System.load()
    if compose.chosen(system):
        raise compose.ComposeError("in containers the database is not reached from outside")
    return await work(system)
