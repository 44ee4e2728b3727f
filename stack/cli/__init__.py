"""The `weft` command."""

import sys

import typer

from stack.cli import audit, dead_letters, flags, storage, system, telemetry

app = typer.Typer(
    help="Starts, stops and watches a Weft system on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
system.register(app)
telemetry.register(app)
storage.register(app)
flags.register(app)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(audit.app, name="telemetry")


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 usage or settings."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a text stream
    app()
