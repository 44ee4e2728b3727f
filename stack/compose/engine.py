"""The container engine's Compose, as a command."""

import os
import shutil
import subprocess
from typing import Final

from stack.compose import files
from stack.home import ROOT
from stack.system import System

_ASK_SECONDS: Final = 30.0
_OURS: Final = (
    "WEFT_FAULTS",
    "WEFT_GIVEN",
    "WEFT_PUBLISHED_",
    "WEFT_RESOURCE_ATTRIBUTES",
    "WEFT_TRAFFIC",
    "COMPOSE_",
)


class ComposeError(Exception):
    """There is no Compose here, or it did not do what it was asked to."""


def check() -> None:
    """Raise ComposeError where there is no Compose, or no engine that answers it."""
    _ask([*command(), "ls", "--quiet"])


def run(system: System, *arguments: str) -> None:
    """Let Compose speak for itself on the terminal; ComposeError if it fails."""
    code = subprocess.run(  # noqa: S603  # our own arguments
        [*command(), *_project(system), *arguments], env=_environment(), cwd=ROOT, check=False
    ).returncode
    if code != 0:
        raise ComposeError(f"docker compose {arguments[0]} ended with code {code}")


def ask(system: System, *arguments: str) -> str:
    """Return what Compose answers; ComposeError with what it says if it fails."""
    return _ask([*command(), *_project(system), *arguments])


def command() -> list[str]:
    """Return how Compose is called here: docker's plugin, or the program of its own."""
    docker = shutil.which("docker")
    if docker is not None and _works([docker, "compose", "version"]):
        return [docker, "compose"]
    alone = shutil.which("docker-compose")
    if alone is not None:
        return [alone]
    raise ComposeError(
        "neither `docker compose` nor `docker-compose` works here: install a container engine, "
        "or run natively on Debian or Ubuntu (WEFT_STACK=native)"
    )


def _ask(argv: list[str]) -> str:
    try:
        answer = subprocess.run(  # noqa: S603  # our own arguments
            argv,
            env=_environment(),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ComposeError(f"Compose did not answer in {_ASK_SECONDS:.0f} s") from None
    if answer.returncode != 0:
        raise ComposeError(answer.stderr.strip() or f"Compose ended with {answer.returncode}")
    return answer.stdout


def _project(system: System) -> list[str]:
    given = files.variables_file(system)
    return ["--file", str(ROOT / "compose.yaml"), "--env-file", str(given)]


def _environment() -> dict[str, str]:
    """The file alone says what the system is: a variable of the shell would come before it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def _works(argv: list[str]) -> bool:
    try:
        answer = subprocess.run(argv, capture_output=True, timeout=_ASK_SECONDS, check=False)  # noqa: S603  # our own arguments
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0
