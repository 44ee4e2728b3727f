"""What can be said of a run beside Locust's own options."""

from pathlib import Path
from typing import Final, NamedTuple


class Option(NamedTuple):
    """An option of the command line, and a field of Locust's page."""

    name: str
    default: float | int | str
    about: str


FOLDER: Final = Path("dist/load")
OPTIONS: Final = (
    Option("--first-rate", 10.0, "orders a second at first"),
    Option("--highest-rate", 500.0, "orders a second at most"),
    Option("--stages", 12, "stages at most"),
    Option("--stage-seconds", 20.0, "measured time of a stage"),
    Option("--p99", 2.0, "seconds from accepted to finished that p99 may be in a good stage"),
    Option("--report", str(FOLDER), "folder of the report"),
)


def usage() -> str:
    """Return the text of --help."""
    lines = [f"  {one.name:<16} {one.about} ({one.default})" for one in OPTIONS]
    return "\n".join(
        [
            "make load ARGS='OPTIONS': customers at the gateway of the running system",
            "",
            "  --page           Locust's page instead of a run at once",
            *lines,
            "",
            "All other options are Locust's: .venv/bin/locust --help",
        ]
    )
