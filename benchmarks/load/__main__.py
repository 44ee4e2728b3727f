"""`python -m benchmarks.load [--page] [OPTIONS OF LOCUST]`: see README.md in this folder."""

import itertools
import os
import sys
from pathlib import Path
from typing import Final

from benchmarks.load.options import FOLDER, usage
from benchmarks.load.target import answers, gateway_url

_PAGE: Final = "--page"
_HERE: Final = Path(__file__).parent


def command(arguments: list[str], gateway: str) -> list[str]:
    """Return the command line of Locust: its page on loopback, or without it and with a report."""
    rest = [argument for argument in arguments if argument != _PAGE]
    given = ["-f", str(_HERE / "locustfile.py"), "--host", gateway]
    if _PAGE in arguments:
        return [*given, "--web-host", "127.0.0.1", *rest]
    report = Path(_value(rest, "--report") or FOLDER)
    details = ["--html", str(report / "locust.html")]
    return [*given, "--headless", "--only-summary", "--loglevel", "WARNING", *details, *rest]


def _value(arguments: list[str], name: str) -> str | None:
    pairs = itertools.pairwise(arguments)
    return next((value for key, value in pairs if key == name), None)


def main() -> None:
    """Become Locust, if there is a system to load."""
    if {"--help", "-h"} & set(sys.argv):
        print(usage())  # noqa: T201 - this is a command
        return
    gateway = gateway_url()
    if not answers(gateway):
        sys.exit(f"the gateway does not answer at {gateway}: start the system with `make up`")
    locust = Path(sys.executable).with_name("locust")
    os.execv(locust, [str(locust), *command(sys.argv[1:], gateway)])  # noqa: S606 - ours


if __name__ == "__main__":
    main()
