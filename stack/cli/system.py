"""The commands that start, stop and watch the system."""

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from stack import addresses, compose, launch, own, parts, scaling, services, status, stop
from stack.backing.postgres import ProvisionError
from stack.backing.rabbitmq import BrokerError
from stack.cli import following, show
from stack.cli.output import run as run_telemetry
from stack.cli.searching import of_one
from stack.credentials import NoCredentialsError
from stack.lock import BusyError
from stack.ports import BIND
from stack.supervisor import SupervisorError
from stack.system import System
from stack.tokens import SCOPES, as_json
from weft.http import MAX_SUBJECT, Token
from weft.settings import SettingsError, duration

FAILED: Final = 1
USAGE: Final = 2
_POLL: Final = 0.25
_DEMO_TTL: Final = 12 * 3600.0

Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    commands: list[Callable[..., None]] = [up, down, show_status, scale, run, forget]
    commands += [token, env, logs, reset]
    for command in commands:
        name = command.__name__.removeprefix("show_")
        app.command(name)(command)


@contextmanager
def _told() -> Iterator[None]:
    """Turn what can go wrong into a line and an exit code."""
    try:
        yield
    except SettingsError as error:
        show.error(str(error))
        raise typer.Exit(USAGE) from None
    except launch.PortsTakenError as error:
        show.ports_taken(error, System.load().ports)
        raise typer.Exit(FAILED) from None
    except launch.StartError as error:
        show.failure(str(error), error.log, error.last_lines)
        raise typer.Exit(FAILED) from None
    except parts.PartFailed as error:
        show.failure(str(error), error.log, list(error.last_lines))
        raise typer.Exit(FAILED) from None
    except (
        parts.UnsupportedHost,
        BusyError,
        following.NoLogError,
        launch.NoSpaceError,
        compose.ComposeError,
        NoCredentialsError,
        ProvisionError,
        BrokerError,
        SupervisorError,
        TimeoutError,
    ) as error:
        show.error(str(error))
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        show.error("interrupted")
        raise typer.Exit(FAILED) from None


def up() -> None:
    """Start the whole system. What is missing on this machine is installed first."""
    with _told():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        system = System.load()
        if compose.chosen(system):
            compose.up(system)
            _welcome(system)
            return
        missing = parts.missing()
        if missing:
            parts.check_host()
            parts.authorize(missing)
        began = time.monotonic()
        with show.Start(lambda: _welcome(system)) as report:
            launch.up(system, report)
        show.all_ready(time.monotonic() - began)
        _welcome(system)


def down() -> None:
    """Stop the whole system."""
    with _told():
        began = time.monotonic()
        system = System.load()
        if compose.down(system) if compose.chosen(system) else stop.down(system):
            show.note(f"stopped in {time.monotonic() - began:.1f} s")
        else:
            show.note("nothing was running")


def show_status(
    as_json: Json = False,
    total: Annotated[
        bool, typer.Option("--total", help="Also the memory of all together.")
    ] = False,
    wait: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Until all is ready, else exit code 1."),
    ] = None,
) -> None:
    """Show what each part of the system is doing."""
    with _told():
        system = System.load()
        contained = compose.chosen(system)
        look = compose.entries if contained else status.entries
        entries = look(system)
        deadline = time.monotonic() + (wait or 0.0)
        while time.monotonic() < deadline and not _all_ready(entries):
            time.sleep(_POLL)
            entries = look(system)
        if as_json:
            typer.echo(json.dumps([entry.as_json() for entry in entries], indent=2))
        else:
            known = total and not contained
            show.table(entries, status.total_memory_bytes(system) if known else None)
        if wait is not None and not _all_ready(entries):
            raise typer.Exit(FAILED)


def scale(
    name: Annotated[str, typer.Argument(help="A service, such as orders.")],
    count: Annotated[int, typer.Argument(min=0, max=services.MOST_INSTANCES)],
) -> None:
    """Run that many instances of a service on this machine."""
    with _told():
        service = services.find(name)
        if service is None:
            known = ", ".join(service.name for service in services.SERVICES)
            show.error(f"{name} is not a service: expected one of {known}")
            raise typer.Exit(USAGE)
        system = System.load()
        if compose.chosen(system):
            raise compose.ComposeError("in containers each service has one instance")
        scaling.scale(system, service, count)
        show.note(f"{name}: {count} ready")


def run(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Such as hello.py.")],
    name: Annotated[
        str | None, typer.Option(help="The name that it gives its Service: by default its file's.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="By default the first free of 8120 to 8129."),
    ] = None,
    commands: Annotated[
        bool, typer.Option("--commands", help="It may send commands, beside events NAME.*")
    ] = False,
) -> None:
    """Run a service of your own against the running system, until Ctrl-C."""
    with _told():
        system = System.load()
        if compose.chosen(system):
            raise compose.ComposeError("weft run works with the native system, not with containers")
        named = own.named(file, name)
        listens = port or own.free_port(system)
        service = own.admit(system, named, commands=commands)
        environment = own.environment(system, service, listens)
    show.note(f"{named} listens on http://{BIND}:{listens}; Ctrl-C ends it")
    os.execve(sys.executable, [sys.executable, str(file)], environment)  # noqa: S606  # Ctrl-C is its own


def forget(
    name: Annotated[str, typer.Argument(help="A service that `weft run` has run.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete the queues and the database of a service of your own."""
    with _told():
        if not yes and not typer.confirm(f"Delete all messages and data of {name}?"):
            raise typer.Exit(FAILED)
        own.forget(System.load(), name)
        show.note(f"nothing of {name} is left")


def token(
    subject: Annotated[str, typer.Option(help="The user that the token speaks for.")],
    scope: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    ttl: Annotated[str, typer.Option(help="How long it is good: 30s, 15m, 12h.")] = "1h",
    json_wanted: Json = False,
) -> None:
    """Print a token for a local system."""
    with _told():
        made = _token(System.load(), subject, scope or [], ttl)
        typer.echo(json.dumps(as_json(made)) if json_wanted else made.token)


def env(as_json: Json = False) -> None:
    """Print where everything is, passwords too, for a shell: eval "$(weft env)"."""
    with _told():
        system = System.load()
        tell = compose.environment if compose.chosen(system) else addresses.environment
        variables = tell(system)
        if as_json:
            typer.echo(json.dumps(variables, indent=2))
            return
        for name, value in variables.items():
            typer.echo(f"export {name}={shlex.quote(value)}")


def logs(
    names: Annotated[list[str] | None, typer.Argument(help="Programs, such as orders.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Of each, from its end.")] = 20,
    trace: Annotated[str | None, typer.Option(help="What Loki has of this trace, instead.")] = None,
    order: Annotated[str | None, typer.Option(help="What Loki has of this order, instead.")] = None,
) -> None:
    """Show the log files of services and backing parts, or all lines of one trace or order.

    With --trace or --order NAMES are services, and lines of all programs are in one order.
    """
    if trace is not None or order is not None:
        run_telemetry(partial(of_one, trace_id=trace, order_id=order, services=names or []))
    with _told():
        system = System.load()
        if compose.chosen(system):
            compose.logs(system, names or [], lines=lines, follow=follow)
        else:
            following.show(system.home, names or [], lines=lines, follow=follow)


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop the system and delete all its data."""
    with _told():
        system = System.load()
        home = system.home
        if not home.exists():
            show.note(f"{home.path} holds nothing of Weft")
            return
        if not yes and not typer.confirm(f"Delete all data of this system in {home.path}?"):
            raise typer.Exit(FAILED)
        if compose.chosen(system):
            compose.remove(system)
        stop.down(system)
        home.empty()
        show.note(f"{home.path} is empty")


def _all_ready(entries: list[status.Entry]) -> bool:
    return all(entry.state == "ready" for entry in entries)


def _token(system: System, subject: str, scopes: list[str], ttl: str) -> Token:
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise SettingsError(f"--scope {unknown[0]}: expected one of {', '.join(SCOPES)}")
    if not subject.isprintable() or not subject.strip() or len(subject) > MAX_SUBJECT:
        raise SettingsError(f"--subject: expected a name of 1 to {MAX_SUBJECT} characters")
    try:
        seconds = duration(ttl)
    except ValueError:
        raise SettingsError(f"--ttl {ttl}: expected a duration such as 30s, 15m or 12h") from None
    return system.credentials.signer().mint(subject, scopes, seconds)


def _welcome(system: System) -> None:
    scopes = ["orders:read", "orders:write", "inventory:write"]
    demo = system.credentials.signer().mint("demo", scopes, _DEMO_TTL)
    grafana = compose.chosen(system) or parts.find("grafana") is not None
    traffic = services.instances(system)[services.TRAFFIC] > 0
    show.welcome(system.ports, demo.token, grafana=grafana, traffic=traffic)
